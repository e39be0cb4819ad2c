"""The four hidden states of Gemma 3n, side by side (llama.cpp's src/models/gemma3n.cpp). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmkube.gguf.plan.graph import Graph, Value

STATES = 4


def stack(graph: Graph, hidden: Value) -> Value:
    """One state becomes four."""
    others = hidden.size * (STATES - 1)
    repeated = graph.make(others, hidden)
    added = graph.make(others, repeated)
    length = graph.make(others, added)
    scaled = graph.update(graph.update(added), length)
    return graph.make(hidden.size * STATES, hidden, scaled)


def predicted(graph: Graph, hidden: Value) -> Value:
    """A guess at all of them, by one of them."""
    turned = graph.make(hidden.size, graph.view(hidden))
    guess = graph.make(hidden.size, turned)
    return graph.update(graph.make(hidden.size, graph.view(guess)), hidden)


def correct(graph: Graph, guessed: Value, active: Value) -> Value:
    """The guess, moved by how far it was off for the one."""
    off = graph.make(active.size, active, graph.view(guessed))
    repeated = graph.make(guessed.size, off)
    graph.use(graph.update(active))
    return graph.update(graph.update(repeated), guessed)


def rest(graph: Graph, corrected: Value, first: Value) -> Value:
    """All but the first of them with something added."""
    others = graph.make(corrected.size // STATES * (STATES - 1), graph.view(corrected), first)
    return graph.make(corrected.size, graph.view(corrected), others)


def unstack(graph: Graph, hidden: Value) -> Value:
    """Four states become one."""
    one = hidden.size // STATES
    others = graph.make(one * (STATES - 1), graph.view(hidden))
    length = graph.make(others.size, others)
    others = graph.update(graph.update(others), length)
    total = graph.make(one, graph.view(hidden), graph.view(others))
    for _ in range(STATES - 2):
        total = graph.update(total, graph.view(others))
    return graph.update(total)
