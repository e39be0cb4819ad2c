"""What would make a plan fit that does not: each a change of one thing, and only those that are enough. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from llmkube.gguf.described import in_file_type
from llmkube.gguf.plan.fit import fits, largest_context, most_layers
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import CACHE_TYPES, EngineOptions, PlanError
from llmkube.gguf.quantize import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.buffers import MemoryPlan

MOST_GPUS = 16
SMALLER_CACHES = ("q8_0", "q4_0")

Change = Literal["gpuLayers", "context", "cacheType", "quantization", "gpuCount", "gpu"]


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change after which everything fits: to which value, and the plan that it leads to."""

    change: Change
    value: int | str
    planned: MemoryPlan


@dataclass(frozen=True, slots=True)
class Room:
    """Free bytes: of each GPU, and of the host. `larger`: other GPUs by name, free bytes of one, the smallest first."""

    gpus: tuple[int, ...]
    host: int
    larger: tuple[tuple[str, int], ...] = ()


def remedies(facts: ModelFacts, options: EngineOptions, room: Room) -> tuple[Remedy, ...]:
    """All that help, the ones that change the least first; empty when nothing alone is enough."""
    tried = (_layers, _context, _cache, _quantization, _count, _larger)
    return tuple(found for one in tried for found in one(facts, options, room))


def _layers(facts: ModelFacts, options: EngineOptions, room: Room) -> Iterator[Remedy]:
    count = most_layers(facts, options, room.gpus, room.host)
    if options.gpus and count:
        yield from _if_it_fits("gpuLayers", count, facts, replace(options, gpu_layers=count), room)


def _context(facts: ModelFacts, options: EngineOptions, room: Room) -> Iterator[Remedy]:
    found = largest_context(facts, options, room.gpus, room.host)
    if found and found < (options.context or facts.context_length or 0):
        yield from _if_it_fits("context", found, facts, replace(options, context=found), room)


def _cache(facts: ModelFacts, options: EngineOptions, room: Room) -> Iterator[Remedy]:
    if not options.uses_flash_attention:
        return  # a quantised cache needs it
    now = max(CACHE_TYPES[options.cache_type_k], CACHE_TYPES[options.cache_type_v])
    for name in SMALLER_CACHES:
        changed = replace(options, cache_type_k=name, cache_type_v=name)
        found = tuple(_if_it_fits("cacheType", name, facts, changed, room)) if CACHE_TYPES[name] < now else ()
        if found:
            yield from found
            return


def _quantization(facts: ModelFacts, options: EngineOptions, room: Room) -> Iterator[Remedy]:
    """The one of the most bits: there may be no such file, and a model of too few bits is another model."""
    for name in DEFAULTS:
        if name == "MXFP4_MOE":
            continue
        again = in_file_type(facts, name)
        found = (
            tuple(_if_it_fits("quantization", name, again, options, room))
            if again.weights.total < facts.weights.total
            else ()
        )
        if found:
            yield from found
            return


def _count(facts: ModelFacts, options: EngineOptions, room: Room) -> Iterator[Remedy]:
    if not room.gpus:
        return
    for count in range(options.gpus + 1, MOST_GPUS + 1):
        changed = replace(options, gpus=count, tensor_split=())
        more = replace(room, gpus=(min(room.gpus),) * count)
        found = tuple(_if_it_fits("gpuCount", count, facts, changed, more))
        if found:
            yield from found
            return


def _larger(facts: ModelFacts, options: EngineOptions, room: Room) -> Iterator[Remedy]:
    for name, free in room.larger if room.gpus else ():
        found = tuple(_if_it_fits("gpu", name, facts, options, replace(room, gpus=(free,) * options.gpus)))
        if found:
            yield from found
            return


def _if_it_fits(
    change: Change, value: int | str, facts: ModelFacts, options: EngineOptions, room: Room
) -> Iterator[Remedy]:
    try:
        planned = plan(facts, options, free=room.gpus)
    except PlanError:  # a cache type that the heads do not fill
        return
    if fits(planned, room.gpus, room.host):
        yield Remedy(change, value, planned)
