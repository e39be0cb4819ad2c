"""What the engine loads beside the model, for the memory plan: a draft with options of its own, and adapters. Pure.

beside(inputs: Inputs, wanted: EngineOptions) -> Beside | None      the draft
adapter_bytes(inputs: Inputs) -> int                                kept where the tensors are that they change
layout_of(status: ModelStatus) -> str                               empty where it is not known
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmkube.desired.resources import asked_layers
from llmkube.gguf.plan.options import EngineOptions

if TYPE_CHECKING:
    from llmkube.api.model import ModelStatus
    from llmkube.desired.inputs import Inputs, Served


class Beside(NamedTuple):
    """A draft: the packed layout of its Model (gguf/packed.py), and how the engine runs it."""

    layout: str
    options: EngineOptions


def beside(inputs: Inputs, wanted: EngineOptions) -> Beside | None:
    """Return the draft. The engine gives it as much context as the model has, as large batches, and keys and values at
    f16, and splits it in the same way (measured on b11669); all of its layers go where the model is unless its own
    Model says how many.
    """
    draft = inputs.draft
    if draft is None:
        return None
    layers = asked_layers(draft.spec)
    return Beside(
        layout_of(draft.status),
        EngineOptions(
            context=wanted.context,
            parallel=wanted.parallel,
            flash_attention=wanted.flash_attention,
            batch=wanted.batch,
            ubatch=wanted.ubatch,
            gpus=wanted.gpus,
            gpu_layers=-1 if layers is None else layers,
            split_mode=wanted.split_mode,
        ),
    )


def adapter_bytes(inputs: Inputs) -> int:
    """Return the bytes of all adapters."""
    return sum(_weights(each.served) for each in inputs.adapters)


def layout_of(status: ModelStatus) -> str:
    """Return what a Model's status has of its header."""
    return (status.memory and status.memory.layout) or ""


def _weights(served: Served) -> int:
    return served.status.memory.weights if served.status.memory else served.status.size_bytes or 0
