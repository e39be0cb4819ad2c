"""What a pod of an InferenceService asks of its node: CPU, memory and GPUs, and the threads that follow from it.

    needs(spec: InferenceServiceSpec, model: ModelSpec, memory: ModelMemory | None, *, context: int, beside=0) -> Needs
    Needs(planned: int | None, requested: int | None, raised: bool, cpu: str, threads: int, gpus: int,
          gpu_resource: str)
        .manifest() -> dict        the container's `resources`
    gpus(spec: InferenceServiceSpec, model: ModelSpec) -> int      per pod
    gpu_resource(model: ModelSpec) -> str                          e.g. nvidia.com/gpu

All sizes are bytes. `planned` is None while nothing is known of the model's memory. `raised` means that the person
asked for less memory than the plan, and the plan is used. It must never go below the plan: an engine with less memory
is killed while it loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

from llmkube.api import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.api.hardware import Vendor
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import ModelMemory, ModelSpec
    from llmkube.api.options import CacheType

MI = 2**20
CACHE_RAM_MIB = 512
"""Host memory in which the engine keeps the prompts of idle slots; its own default is 8192."""
DEFAULT_CPU = "1"
DEFAULT_THREADS = 2
_MARGIN = 256 * MI  # the process itself, its vocabulary and its buffers for requests
_GPU_DRIVER = 1024 * MI  # what a GPU runtime takes on the host
_SLACK = Fraction(5, 4)
_GPU_RESOURCES: Mapping[Vendor, str] = {
    "nvidia": "nvidia.com/gpu",
    "amd": "amd.com/gpu",
    "intel": "gpu.intel.com/i915",
}
_BLOCK_BYTES: Mapping[CacheType, int] = {
    "f32": 128, "f16": 64, "bf16": 64, "q8_0": 34, "q5_1": 24, "q5_0": 22, "q4_1": 20, "q4_0": 18, "iq4_nl": 18,
}  # fmt: skip
"""Bytes of 32 values."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What one pod needs."""

    planned: int | None
    requested: int | None
    raised: bool
    cpu: str
    threads: int
    gpus: int
    gpu_resource: str

    def manifest(self) -> dict[str, Any]:
        """Return the container's resources. CPU has no limit: a throttled thread stalls all the others."""
        requests, limits = {"cpu": self.cpu}, dict[str, str]()
        if memory := max(self.planned or 0, self.requested or 0):
            requests["memory"] = _mebibytes(memory)
            limits["memory"] = _mebibytes(max(memory, ceil((self.planned or memory) * _SLACK)))
        if self.gpus:
            requests[self.gpu_resource] = limits[self.gpu_resource] = str(self.gpus)
        return {"requests": requests} | ({"limits": limits} if limits else {})


def needs(
    spec: InferenceServiceSpec, model: ModelSpec, memory: ModelMemory | None, *, context: int, beside: int = 0
) -> Needs:
    """Return what a pod with `context` tokens needs: what the person says, but never less memory than the plan.

    `beside` is what a draft and adapters take of the host's memory.
    """
    count = gpus(spec, model)
    planned = _planned(spec, model, memory, context=context, count=count) + beside if memory else None
    cpu, asked = _asked(spec, model, "cpu"), _asked(spec, model, "memory")
    requested = quantity.to_int(asked) if asked else None
    return Needs(
        planned=planned,
        requested=requested,
        raised=requested is not None and planned is not None and requested < planned,
        cpu=cpu or DEFAULT_CPU,
        threads=spec.threads or (max(1, ceil(quantity.parse(cpu))) if cpu else DEFAULT_THREADS),
        gpus=count,
        gpu_resource=gpu_resource(model),
    )


def gpus(spec: InferenceServiceSpec, model: ModelSpec) -> int:
    """Return the number of GPUs per pod; a Mac's own is none of the cluster's."""
    if model.hardware.accelerator in {"cpu", "metal"}:
        return 0
    said = spec.resources.gpu if spec.resources else None
    return model.hardware.gpu_count if said is None else said


def gpu_resource(model: ModelSpec) -> str:
    """Return the extended resource, which is also the key of the taint, of the model's GPUs."""
    return _GPU_RESOURCES[model.hardware.gpu_vendor]


def _asked(spec: InferenceServiceSpec, model: ModelSpec, field: str) -> str | None:
    """The service's own word counts before the model's."""
    for said in (spec.resources, model.resources):
        if said is not None and (value := getattr(said, field)) is not None:
            return str(value)
    return None


def _planned(spec: InferenceServiceSpec, model: ModelSpec, memory: ModelMemory, *, context: int, count: int) -> int:
    """Host memory of one pod. With every layer on GPUs neither weights nor KV cache stay on the host."""
    fixed = memory.compute_estimate + CACHE_RAM_MIB * MI + _MARGIN
    layers = model.hardware.gpu.layers if model.hardware.gpu else None
    if count and layers in {None, -1}:
        return fixed + _GPU_DRIVER
    kv = ceil(memory.kv_cache_per_token * context * _kv_factor(spec))
    return memory.weights + kv + fixed + (_GPU_DRIVER if count else 0)


def _kv_factor(spec: InferenceServiceSpec) -> Fraction:
    """Size of the KV cache in the types asked for, relative to f16."""
    pair = (spec.cache_type_k or "f16", spec.cache_type_v or "f16")
    return Fraction(sum(_BLOCK_BYTES[name] for name in pair), 2 * _BLOCK_BYTES["f16"])


def _mebibytes(size: int) -> str:
    return f"{-(-size // MI)}Mi"
