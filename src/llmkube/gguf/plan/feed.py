"""The graph of one layer's feed-forward network, of one or of many experts (llama.cpp's src/llama-graph.cpp). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.gguf.plan.batch import I32

if TYPE_CHECKING:
    from llmkube.gguf.plan.graph import Graph, Value
    from llmkube.gguf.weights import Block

F32 = 4
DISTINCT_PARTS = 3
"""Answers that are added up: from the third on, each sum takes the place of the one before."""


@dataclass(frozen=True, slots=True)
class Feeding:
    """A layer's network, for so many tokens; `experts_used` of `experts` work on each of them."""

    graph: Graph
    block: Block
    tokens: int
    width: int
    experts: int
    experts_used: int

    def floats(self, width: int) -> int:
        return F32 * width * self.tokens


def feed(at: Feeding, hidden: Value) -> Value:
    """From the normalised hidden state to what is added to it."""
    if not at.block.has("ffn_gate_inp"):
        return _dense(at, hidden, "")
    mixed = _experts(at, hidden)
    return at.graph.update(mixed, _dense(at, hidden, "_shexp")) if at.block.has("ffn_up_shexp") else mixed


def _dense(at: Feeding, hidden: Value, suffix: str) -> Value:
    graph, inner = at.graph, at.block.rows(f"ffn_up{suffix}")
    if at.block.has(f"ffn_gate{suffix}"):
        gate = graph.make(at.floats(inner), hidden)
        active = graph.make(at.floats(inner), gate, graph.make(at.floats(inner), hidden))
    else:
        up = graph.make(at.floats(inner), hidden)
        narrow = (at.block.shapes.get(f"ffn_down{suffix}.weight") or (inner,))[0]
        active = graph.update(up) if narrow >= inner else graph.make(at.floats(narrow), up)
    return graph.make(at.floats(at.width), active)


def _experts(at: Feeding, hidden: Value) -> Value:
    """Scores choose the experts; each of them answers for each token, and the answers are added up one by one."""
    graph, used = at.graph, at.experts_used
    scores = graph.update(graph.make(at.floats(at.experts), hidden))
    order = graph.make(I32 * at.experts * at.tokens, scores)
    chosen = graph.view(order)
    weights = graph.make(at.floats(used), graph.view(scores), chosen)
    total = graph.make(at.floats(1), graph.view(weights))
    weights = graph.view(graph.make(at.floats(used), graph.view(weights), graph.update(total)))
    tokens = graph.view(hidden)
    active = _active(at, tokens, chosen)
    answers = graph.update(graph.make(at.floats(at.width * used), active, chosen), weights)
    return summed(graph, answers, at.floats(at.width), used)


def summed(graph: Graph, answers: Value, size: int, used: int) -> Value:
    """The answers of all experts that a token uses as one."""
    parts = [graph.view(answers) for _ in range(min(used, DISTINCT_PARTS))]
    mixed = graph.make(size, *parts[:2])
    for part in parts[2:]:
        mixed = graph.update(mixed, part)
    return mixed


def _active(at: Feeding, tokens: Value, chosen: Value) -> Value:
    graph = at.graph
    inner = at.floats(at.block.rows("ffn_up_exps") * at.experts_used)
    if at.block.has("ffn_gate_up_exps"):
        joined = graph.make(at.floats(at.block.rows("ffn_gate_up_exps") * at.experts_used), tokens, chosen)
        return graph.make(joined.size // 2, graph.view(joined), graph.view(joined))
    up = graph.make(inner, tokens, chosen)
    if not at.block.has("ffn_gate_exps"):
        return graph.update(up)
    return graph.make(inner, graph.make(inner, tokens, chosen), up)
