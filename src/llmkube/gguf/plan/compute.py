"""Working memory: the peak of the computation graph on each device, and on the host. Pure.

A device's graph is walked through for each kind of layer that it has, not for each layer: those of one kind take the
same memory again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.gguf.plan.attention import Attending, Heads, attend
from llmkube.gguf.plan.batch import I32, Batch, Inputs, batch, inputs
from llmkube.gguf.plan.feed import Feeding, feed
from llmkube.gguf.plan.graph import Graph, Value, peak
from llmkube.gguf.plan.layers import Layer, head_lengths, layers
from llmkube.gguf.plan.placement import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.options import EngineOptions
    from llmkube.gguf.plan.placement import Placement
    from llmkube.gguf.weights import Block

MOST_KINDS = 8
TIMES = 2
"""How often a kind of layer is walked through: what the one before it left behind is in the way of the second."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What decides how much memory a layer works in."""

    block: Block
    layer: Layer
    heads: Heads


@dataclass(frozen=True, slots=True)
class _Part:
    """What one device has of the graph."""

    kinds: tuple[_Kind, ...]
    begins: bool
    ends: bool


def compute(facts: ModelFacts, options: EngineOptions, placement: Placement) -> tuple[tuple[int, ...], int]:
    """Bytes on each GPU, and on the host."""
    of = batch(facts, options)
    kinds = _kinds(facts)
    done: dict[tuple[tuple[int, ...], bool, bool], int] = {}

    def needed(device: int) -> int:
        mine = [kinds[index] for index, place in enumerate(placement.layers) if place == device]
        part = _Part(_distinct(mine), device == HOST, device == placement.output)
        key = (tuple(id(kind) for kind in part.kinds), part.begins, part.ends)
        if key not in done:
            done[key] = _peak(facts, of, part) if part.kinds or part.begins or part.ends else 0
        return done[key]

    return tuple(needed(device) for device in range(options.gpus)), needed(HOST)


def _kinds(facts: ModelFacts) -> list[_Kind]:
    """One object for each kind of layer, by layer."""
    found: dict[tuple[object, ...], _Kind] = {}
    attention = facts.attention
    answer = []
    for index, (layer, block) in enumerate(zip(layers(facts), facts.weights.blocks, strict=True)):
        count = attention.heads[index] if index < len(attention.heads) else 0
        count_kv = attention.heads_kv[index] if index < len(attention.heads_kv) else 0
        heads = Heads(count, count_kv, *head_lengths(facts, slides=layer.slides))
        kind = _Kind(block, layer, heads)
        answer.append(found.setdefault((id(block.shapes), layer, heads), kind))
    return answer


def _distinct(kinds: Sequence[_Kind]) -> tuple[_Kind, ...]:
    """The kinds in the order in which they come, the widest of them when they are very many."""
    found = list({id(kind): kind for kind in kinds}.values())
    if len(found) > MOST_KINDS:
        widest = sorted(found, key=lambda kind: kind.block.largest)[-MOST_KINDS:]
        found = [kind for kind in found if kind in widest]
    return tuple(found)


def _peak(facts: ModelFacts, of: Batch, part: _Part) -> int:
    graph = Graph()
    full = any(kind.layer.caches and not kind.layer.slides for kind in part.kinds)
    sliding = any(kind.layer.slides for kind in part.kinds)
    widest = max((layer.value for layer in layers(facts)), default=0)
    given = inputs(graph, of, full=full, sliding=sliding, value_width=widest)
    hidden = (
        _embedded(graph, of, facts.embedding_length or 0)
        if part.begins
        else graph.input(of.floats(facts.embedding_length or 0))
    )
    last = len(part.kinds) * TIMES - 1
    for index in range(len(part.kinds) * TIMES):
        kind = part.kinds[index // TIMES]
        hidden = _through(facts, graph, of, given, kind, hidden, cut=part.ends and index == last)
    if part.ends:
        hidden = graph.update(graph.update(hidden))
        graph.keep(graph.make(4 * (facts.vocabulary_size or 0) * of.outputs, hidden))
    return peak(graph)


def _embedded(graph: Graph, of: Batch, width: int) -> Value:
    """Rows of the vocabulary by token. Embeddings given from outside have room of their own, mixed ones for ever."""
    tokens = graph.input(I32 * of.tokens)
    graph.keep(graph.input(of.floats(width)))
    mixed, hidden = graph.input(of.floats(width)), graph.make(of.floats(width), tokens)
    rows = graph.make(of.floats(width), tokens)
    graph.view(graph.make(of.floats(width), mixed), rows)
    return hidden


def _through(
    facts: ModelFacts, graph: Graph, of: Batch, given: Inputs, kind: _Kind, hidden: Value, *, cut: bool
) -> Value:
    """One layer; `cut`: after its attention only the tokens that get logits are looked at."""
    width = facts.embedding_length or 0
    normal = graph.update(graph.update(hidden))
    mixed = attend(Attending(graph, of, given, kind.block, kind.heads, kind.layer.slides), normal, width)
    tokens = of.tokens
    if cut:
        tokens = of.outputs
        mixed = graph.make(4 * width * tokens, mixed, given.outputs)
        hidden = graph.make(4 * width * tokens, hidden, given.outputs)
    hidden = graph.update(mixed, hidden)
    normal = graph.update(graph.update(hidden))
    network = Feeding(graph, kind.block, tokens, width, facts.experts or 0, facts.experts_used or 0)
    return graph.update(feed(network, normal), hidden)
