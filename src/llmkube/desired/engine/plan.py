"""How the engine is run in one pod: context, layers, splits and the memory that they take, or why it cannot be.

    engine_plan(spec: InferenceServiceSpec, inputs: Inputs) -> EnginePlan | Trouble

Decided from the status of the Models alone: what their headers say of the layers is packed in there (gguf/packed.py).
Where it is not (a header too odd to be packed), sizes are None and nothing is promised. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from llmkube.api import quantity
from llmkube.desired.conditions import one_line
from llmkube.desired.engine.balance import UNBOUNDED, balanced, even
from llmkube.desired.engine.batch import BATCH, UBATCH, Batches, Context, batches, effective_context
from llmkube.desired.engine.beside import Beside, adapter_bytes, beside, layout_of
from llmkube.desired.engine.modes import pooling
from llmkube.desired.engine.split import STRATEGY, SplitError, counts, layer_split, split_mode
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resources import asked_layers, gpus, memory_of_each
from llmkube.gguf.packed import unpacked
from llmkube.gguf.plan.fit import fits, largest_context, most_layers, reserve_of
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import Draft, EngineOptions, PlanError, SliceError
from llmkube.gguf.plan.slices import unsliceable

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import ModelSpec, ModelStatus
    from llmkube.desired.inputs import Inputs
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.buffers import MemoryPlan

REMEMBERED = 4096
Free = tuple[int, ...]
"""Bytes of each GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlan:
    """`layers` None: as many as the engine finds room for. `room`: bytes of each GPU that it may take.

    `memory` None: nothing is known of the model's layers. `total` counts the output layer.
    """

    context: Context
    batches: Batches
    gpus: int = 0
    layers: int | None = 0
    total: int | None = None
    split_mode: str = "layer"
    tensor_split: tuple[int, ...] = ()
    room: int | None = None
    memory: MemoryPlan | None = None


def engine_plan(spec: InferenceServiceSpec, inputs: Inputs) -> EnginePlan | Trouble:
    """Return the plan, or why the engine cannot be run like that: with the field, and with numbers."""
    model, status = inputs.served.spec, inputs.served.status
    facts = unpacked(layout_of(status))
    count = gpus(spec, model)
    context = effective_context(spec, status.gguf)
    drafted = EnginePlan(
        context=context,
        batches=batches(spec, context=context.size, pooling=pooling(spec, facts)),
        gpus=count,
        layers=asked_layers(model) if count else 0,
        total=_total(facts, status),
        split_mode=split_mode(model),
        room=_room(spec, model, count),
    )
    try:
        _check(spec, drafted, inputs)
        drafted = _split(drafted, model)
        wanted = options(spec, drafted, inputs)
        return _fitted(drafted, layout_of(status), wanted, beside(inputs, wanted)) if facts else drafted
    except SliceError as error:
        return Trouble("EngineRefuses", one_line(f"{STRATEGY}: tensor cannot be had here: {error}"))
    except (SplitError, PlanError) as error:
        return Trouble("EngineRefuses", one_line(str(error)))
    except (ArithmeticError, LookupError, TypeError) as error:  # a status that nobody's header could have led to
        said = f"expected what a header says, found {type(error).__name__}; touch the Model's source to read it anew"
        return Trouble("LayoutUnusable", f"status.memory.layout of the Model: {said}")


def options(spec: InferenceServiceSpec, drafted: EnginePlan, inputs: Inputs) -> EngineOptions:
    """Return the engine's options as the memory plan has them; PlanError for what the engine would refuse."""
    projector = inputs.served.status.mmproj
    return EngineOptions(
        context=drafted.context.size,
        parallel=spec.parallel or 1,
        cache_type_k=spec.cache_type_k or "f16",
        cache_type_v=spec.cache_type_v or "f16",
        flash_attention=spec.flash_attention,
        batch=drafted.batches.batch or BATCH,
        ubatch=drafted.batches.ubatch or UBATCH,
        embeddings=spec.mode != "chat",
        gpu_layers=-1 if drafted.layers is None else drafted.layers,
        gpus=drafted.gpus,
        split_mode=drafted.split_mode,
        tensor_split=tuple(float(share) for share in drafted.tensor_split),
        projector_bytes=(projector.size_bytes if projector else None) or 0,
        lora_bytes=adapter_bytes(inputs),
    )


def _check(spec: InferenceServiceSpec, drafted: EnginePlan, inputs: Inputs) -> None:
    """What the engine refuses of a split (src/llama-context.cpp), and what the plan would refuse in its own terms."""
    if drafted.gpus < 2 or drafted.split_mode != "tensor":
        return
    if spec.flash_attention == "off":
        raise SplitError("spec.flashAttention: expected auto or on with the sharding strategy tensor, found off")
    if inputs.adapters:
        message = f"expected none with the sharding strategy tensor, found {len(inputs.adapters)}"
        raise SplitError(f"spec.loraAdapters: {message}; llama.cpp aborts with them, take the strategy layer")
    header = inputs.served.status.gguf
    if reason := unsliceable((header and header.architecture) or ""):
        raise SplitError(f"{STRATEGY}: {reason}")


def _total(facts: ModelFacts | None, status: ModelStatus) -> int | None:
    layers = (facts and facts.block_count) or (status.gguf and status.gguf.block_count)
    return layers + 1 if layers else None


def _room(spec: InferenceServiceSpec, model: ModelSpec, count: int) -> int | None:
    """What the driver leaves of each GPU; None where nobody says how large it is."""
    memory = memory_of_each(spec, model) if count else None
    return None if memory is None else max(0, memory - reserve_of(memory))


def _split(drafted: EnginePlan, model: ModelSpec) -> EnginePlan:
    """With the layers that the person gives each GPU; SplitError where they are not all of them, once."""
    ranges = layer_split(model)
    if not ranges or drafted.gpus < 1 or drafted.total is None:
        return drafted
    path = "Model spec.hardware.gpu"
    if len(ranges) != drafted.gpus:
        raise SplitError(f"{path}.sharding.layerSplit: expected {drafted.gpus} ranges, one for each GPU of the pod")
    if drafted.split_mode != "layer":
        raise SplitError(f"{path}.sharding.strategy: expected layer with a layerSplit, found {drafted.split_mode}")
    if drafted.layers not in {None, drafted.total}:
        raise SplitError(
            f"{path}.layers: expected -1 with a layerSplit, which gives all layers, found {drafted.layers}"
        )
    return replace(drafted, layers=drafted.total, tensor_split=counts(ranges, drafted.total - 1))


@lru_cache(maxsize=REMEMBERED)
def _fitted(drafted: EnginePlan, layout: str, wanted: EngineOptions, draft: Beside | None) -> EnginePlan | Trouble:
    """With the layers that fit, and the memory that they take. Many services of one model ask for the same."""
    facts, small = unpacked(layout), unpacked(draft.layout) if draft else None
    if facts is None or (draft and small is None):
        return drafted
    if draft and small:
        wanted = replace(wanted, draft=Draft(small, draft.options))
    if not drafted.gpus or drafted.room is None:
        return replace(drafted, memory=plan(facts, wanted))
    free = (drafted.room,) * drafted.gpus
    found = _placed(facts, wanted, free, is_given=drafted.layers is not None)
    if found is None:
        return _too_large(drafted.room, facts, wanted, free)
    shares = drafted.tensor_split or tuple(int(share) for share in found.tensor_split)
    planned = plan(facts, found, free=free)
    return replace(drafted, layers=planned.gpu_layers, tensor_split=shares, memory=planned)


def _placed(facts: ModelFacts, wanted: EngineOptions, free: Free, *, is_given: bool) -> EngineOptions | None:
    """Options that fit: all that is wanted, evenly or else balanced, or as many layers as do; None where none do."""
    if wanted.tensor_split or wanted.split_mode == "none" or wanted.gpus < 2:
        if fits(plan(facts, wanted, free=free), free, UNBOUNDED):
            return wanted
    elif shares := balanced(facts, wanted, free):
        return replace(wanted, tensor_split=tuple(map(float, shares)))
    layers = 0 if is_given else _most(facts, wanted, free)
    if not layers:
        return None
    fewer = replace(wanted, gpu_layers=layers)
    return replace(fewer, tensor_split=tuple(map(float, even(facts, fewer))))


def _too_large(room: int, facts: ModelFacts, wanted: EngineOptions, free: Free) -> Trouble:
    """What is missing where, and what would help."""
    planned = plan(facts, wanted, free=free)
    index, device = max(enumerate(planned.devices), key=lambda pair: pair[1].total)
    layers = f"{planned.gpu_layers} of {planned.total_layers} layers with {planned.context} tokens of context"
    need = f"{layers} need {quantity.format_bytes(device.total)} on GPU {index}"
    has = f"which has {quantity.format_bytes(room)} for the engine: {quantity.format_bytes(device.total - room)} less"
    most = _most(facts, replace(wanted, tensor_split=()), free)
    context = largest_context(facts, wanted, free, UNBOUNDED) or 0
    fixes = [f"{most} layers would fit"] if most else []
    fixes += [f"{context} tokens of context would fit"] if 0 < context < planned.context else []
    fix = ", or ".join(fixes) or "take larger or more GPUs, or a smaller model"
    return Trouble("DoesNotFit", one_line(f"Model spec.hardware.gpu: {need}, {has}; {fix}"))


def _most(facts: ModelFacts, wanted: EngineOptions, free: Free) -> int:
    return most_layers(facts, wanted, free, UNBOUNDED)
