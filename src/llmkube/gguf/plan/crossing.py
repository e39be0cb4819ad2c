"""What one device hands over to the next: a hidden state, or what the last sum of a layer is made of.

The engine works out what needs no matrix where the next matrix is. With some of the layers on the host, the first GPU
so adds up the last layer of the host, and gets the parts of that sum. What is handed over comes before the masks.
Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.gguf.plan.feed import summed

if TYPE_CHECKING:
    from llmkube.gguf.plan.batch import Batch
    from llmkube.gguf.plan.graph import Graph, Value
    from llmkube.gguf.weights import Block


def added_up(graph: Graph, of: Batch, before: Block, width: int, experts_used: int) -> Value:
    """The hidden state after a layer of the host."""
    size = of.floats(width)
    if before.has("ffn_gate_inp") and not before.has("ffn_up_shexp"):
        answers, weights = graph.input(size * experts_used), graph.input(of.floats(experts_used))
        hidden = graph.input(size)
        return graph.update(summed(graph, graph.update(answers, weights), size, experts_used), hidden)
    mixed, hidden = graph.input(size), graph.input(size)
    if before.has("ffn_up_shexp"):
        return graph.update(graph.update(mixed, graph.input(size)), hidden)
    return graph.update(mixed, hidden)
