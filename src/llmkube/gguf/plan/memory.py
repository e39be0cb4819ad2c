"""plan(): what a model needs in memory on each device and on the host, buffer by buffer, in bytes. Pure.

It reproduces what llama.cpp logs when it loads the model; docs/memory.md has the table of errors.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import starmap
from typing import TYPE_CHECKING

from llmkube.gguf.plan import slices
from llmkube.gguf.plan.buffers import Buffers, MemoryPlan
from llmkube.gguf.plan.cache import F32, Kept, cells, kept
from llmkube.gguf.plan.compute import compute
from llmkube.gguf.plan.layers import WITHOUT_OUTPUT, trunk
from llmkube.gguf.plan.options import EngineOptions, PlanError
from llmkube.gguf.plan.placement import HOST, Placement, place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.gguf.facts import ModelFacts

MOST_EXPERTS = 1024


def plan(facts: ModelFacts, options: EngineOptions, *, free: Sequence[int] = ()) -> MemoryPlan:
    """The plan. `free`: bytes of each GPU, by which layers are shared out when no tensor split is given.

    PlanError when the engine would refuse the options for this model.
    """
    layers = _checked(facts, options)
    places = place(options, layers, free)
    caches = kept(facts, options)
    models = _models(facts, options, places)
    working, host_working = _working(facts, options, places, caches)
    sliced = slices.caches(facts, options) if options.slices else (caches,) * options.gpus
    devices = [
        Buffers(models[device], *_caches(sliced[device], options, places, device), working[device])
        for device in range(options.gpus)
    ]
    host = Buffers(models[HOST], *_caches(caches, options, places, HOST), host_working, _output(facts, options))
    planned = MemoryPlan(tuple(devices), host, cells(facts, options).context, places.gpu_layers, layers + 1)
    return _with_companions(planned, options, free)


def _checked(facts: ModelFacts, options: EngineOptions) -> int:
    """How many layers there are."""
    if options.slices:
        slices.check(facts, options)
    if not facts.block_count or not facts.embedding_length:
        message = f"{facts.architecture}: expected a model with layers, found none in its header"
        raise PlanError(f"{message}; name the model itself, not its projector or an adapter")
    if max(facts.experts or 0, facts.experts_used or 0) > MOST_EXPERTS:
        raise PlanError(f"{facts.architecture}: expected at most {MOST_EXPERTS} experts, found {facts.experts}")
    return facts.block_count


def _working(
    facts: ModelFacts, options: EngineOptions, places: Placement, caches: Sequence[Kept]
) -> tuple[tuple[int, ...], int]:
    """Bytes of the graph. GPUs that each have a slice of everything all get room for the graph of a single one."""
    if not options.slices:
        return compute(facts, options, places, caches)
    single = replace(options, gpus=1, main_gpu=0, split_mode="none", tensor_split=(), op_offload=False)
    (one,), host = compute(facts, single, place(single, len(places.layers)), caches)
    return (one + slices.sums(facts, options, places),) * options.gpus, host


def _models(facts: ModelFacts, options: EngineOptions, places: Placement) -> dict[int, int]:
    """Weights by device. Matrices that are used twice are there twice when the two uses are on two devices."""
    found = facts.weights
    sizes = dict.fromkeys((HOST, *range(options.gpus)), 0)
    sizes[HOST] += found.inputs
    sizes[places.output] += found.outputs
    if places.output != HOST and facts.architecture not in WITHOUT_OUTPUT:
        sizes[places.output] += found.tied
    for block, device in zip(found.blocks[: trunk(facts)], places.layers, strict=False):
        sizes[device] += block.size
    if options.slices:
        sizes |= enumerate(slices.weights(facts, options, places))
        sizes[0] += options.projector_bytes
        return sizes
    if options.split_mode == "row" and options.gpus:
        on_gpus = sum(size for device, size in sizes.items() if device != HOST)
        sizes |= _shared_out(on_gpus, places.shares)
    sizes[places.output] += options.projector_bytes + options.lora_bytes
    return sizes


def _shared_out(size: int, shares: Sequence[float]) -> dict[int, int]:
    """Every matrix is cut into rows, a share of them for each GPU; what rounding leaves goes to the first."""
    parts = [int(size * share) for share in shares]
    parts[0] += size - sum(parts)
    return dict(enumerate(parts))


def _caches(caches: Sequence[Kept], options: EngineOptions, places: Placement, device: int) -> tuple[int, int, int]:
    """Keys and values, those of sliding layers, and states: beside the layer, or all on the host when so asked."""
    home = places.layers if options.kv_offload else (HOST,) * len(places.layers)
    has = (HOST,) if device == HOST else range(options.gpus) if options.slices else (device,)
    mine = [one for one, where in zip(caches, home, strict=True) if where in has]
    return sum(one.kv for one in mine), sum(one.kv_swa for one in mine), sum(one.recurrent for one in mine)


def _output(facts: ModelFacts, options: EngineOptions) -> int:
    """Logits of one token of each slot, and its embedding when embeddings are asked for."""
    embedding = facts.embedding_length_out or facts.embedding_length or 0
    values = (facts.vocabulary_size or 0) + (embedding if options.embeddings else 0)
    return F32 * options.parallel * values


def _with_companions(planned: MemoryPlan, options: EngineOptions, free: Sequence[int]) -> MemoryPlan:
    """With a draft model beside it, device by device."""
    if options.draft is None:
        return planned
    draft = plan(options.draft.facts, options.draft.options, free=free)
    drafts = (*draft.devices, *(Buffers(),) * len(planned.devices))
    return MemoryPlan(
        devices=tuple(starmap(Buffers.__add__, zip(planned.devices, drafts, strict=False))),
        host=planned.host + draft.host,
        context=planned.context,
        gpu_layers=planned.gpu_layers,
        total_layers=planned.total_layers,
    )
