"""Working memory: the peak of the computation graph on each device, and on the host. Pure.

A device's graph is walked through for each kind of layer that it has, not for each layer: those of one kind take the
same memory again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.gguf.plan.attention import Heads
from llmkube.gguf.plan.batch import batch
from llmkube.gguf.plan.graph import Graph, peak
from llmkube.gguf.plan.layers import head_lengths, layers
from llmkube.gguf.plan.placement import HOST
from llmkube.gguf.plan.walk import Kind, Part, Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.options import EngineOptions
    from llmkube.gguf.plan.placement import Placement

MOST_KINDS = 8


@dataclass(frozen=True, slots=True)
class _Key:
    """What decides how much memory a device's part of the graph takes."""

    kinds: tuple[int, ...]
    begins: bool
    ends: bool


def compute(facts: ModelFacts, options: EngineOptions, placement: Placement) -> tuple[tuple[int, ...], int]:
    """Bytes on each GPU, and on the host."""
    of, kinds = batch(facts, options), _kinds(facts)
    done: dict[_Key, int] = {}

    def needed(device: int) -> int:
        mine = _distinct([kind for kind, place in zip(kinds, placement.layers, strict=True) if place == device])
        part = Part(mine, begins=device == HOST, ends=device == placement.output)
        key = _Key(tuple(id(kind) for kind in mine), part.begins, part.ends)
        if key not in done:
            graph = Graph()
            Walk(graph, facts, of, part).through()
            done[key] = peak(graph)
        return done[key]

    return tuple(needed(device) for device in range(options.gpus)), needed(HOST)


def _kinds(facts: ModelFacts) -> list[Kind]:
    """One object for each kind of layer, by layer."""
    found: dict[tuple[object, ...], Kind] = {}
    attention = facts.attention
    answer = []
    for index, (layer, block) in enumerate(zip(layers(facts), facts.weights.blocks, strict=True)):
        count = attention.heads[index] if index < len(attention.heads) else 0
        count_kv = attention.heads_kv[index] if index < len(attention.heads_kv) else 0
        heads = Heads(count, count_kv, *head_lengths(facts, slides=layer.slides))
        answer.append(found.setdefault((id(block.shapes), layer, heads), Kind(block, layer, heads)))
    return answer


def _distinct(kinds: Sequence[Kind]) -> tuple[Kind, ...]:
    """The kinds in the order in which they come, the widest of them when they are very many."""
    found = list({id(kind): kind for kind in kinds}.values())
    if len(found) > MOST_KINDS:
        widest = sorted(found, key=lambda kind: kind.block.largest)[-MOST_KINDS:]
        found = [kind for kind in found if kind in widest]
    return tuple(found)
