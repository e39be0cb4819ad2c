"""What a draft and adapters take of the host's memory, beside what the model itself does. Pure.

memory_beside(spec: InferenceServiceSpec, inputs: Inputs, *, context: int) -> int       bytes

The engine gives its draft as many tokens of context as the model has, with keys and values at f16 (measured on b11669);
adapters are kept where the tensors are that they change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.resources import gpus

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.inputs import Inputs, Served


def memory_beside(spec: InferenceServiceSpec, inputs: Inputs, *, context: int) -> int:
    """Return the bytes; with GPUs what is on them does not count."""
    on_host = not gpus(spec, inputs.served.spec)
    adapters = sum(_weights(each.served) for each in inputs.adapters) if on_host else 0
    return adapters + (_draft(inputs.draft, context, on_host=on_host) if inputs.draft else 0)


def _draft(draft: Served, context: int, *, on_host: bool) -> int:
    memory = draft.status.memory
    if memory is None:
        return 0
    layers = draft.spec.hardware.gpu.layers if draft.spec.hardware.gpu else None
    if not on_host and layers in {None, -1}:
        return memory.compute_estimate
    return memory.weights + memory.kv_cache_per_token * context + memory.compute_estimate


def _weights(served: Served) -> int:
    return served.status.memory.weights if served.status.memory else served.status.size_bytes or 0
