"""What a pod of an InferenceService asks of its node: CPU, memory and GPUs, and the threads that follow from it.

    needs(spec: InferenceServiceSpec, model: ModelSpec, engine: EnginePlan) -> Needs
    Needs(planned: int | None, requested: int | None, raised: bool, cpu: str, threads: int, gpus: int,
          gpu_resource: str)
        .manifest() -> dict        the container's `resources`
    gpus(spec: InferenceServiceSpec, model: ModelSpec) -> int                    per pod
    memory_of_each(spec: InferenceServiceSpec, model: ModelSpec) -> int | None   of each GPU
    gpu_resource(model: ModelSpec) -> str                                        e.g. nvidia.com/gpu

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
from llmkube.desired.pod_trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.api.hardware import Vendor
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import ModelSpec
    from llmkube.desired.engine.plan import EnginePlan

MI = 2**20
CACHE_RAM_MIB = 512
"""Host memory in which the engine keeps the prompts of idle slots; its own default is 8192."""
DEFAULT_CPU = "1"
DEFAULT_THREADS = 2
MOST_THREADS = 1024
_MARGIN = 256 * MI  # the process itself, its vocabulary and its buffers for requests
_GPU_DRIVER = 1024 * MI  # what a GPU runtime takes on the host
_SLACK = Fraction(5, 4)
_GPU_RESOURCES: Mapping[Vendor, str] = {
    "nvidia": "nvidia.com/gpu",
    "amd": "amd.com/gpu",
    "intel": "gpu.intel.com/i915",
}


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


def needs(spec: InferenceServiceSpec, model: ModelSpec, engine: EnginePlan) -> Needs:
    """Return what a pod needs: what the person says, but never less memory than the plan."""
    planned = _planned(spec, engine)
    cpu, asked = _asked(spec, model, "cpu"), _asked(spec, model, "memory")
    requested = quantity.to_int(asked) if asked else None
    return Needs(
        planned=planned,
        requested=requested,
        raised=requested is not None and planned is not None and requested < planned,
        cpu=cpu or DEFAULT_CPU,
        threads=spec.threads or _threads(cpu),
        gpus=engine.gpus,
        gpu_resource=gpu_resource(model),
    )


def gpus(spec: InferenceServiceSpec, model: ModelSpec) -> int:
    """Return the number of GPUs per pod; a Mac's own is none of the cluster's."""
    if model.hardware.accelerator in {"cpu", "metal"}:
        return 0
    said = spec.resources.gpu if spec.resources else None
    return model.hardware.gpu_count if said is None else said


def asked_layers(model: ModelSpec) -> int | None:
    """Return the layers on GPUs that the person asks for; None for as many as fit."""
    layers = model.hardware.gpu.layers if model.hardware.gpu else None
    return None if layers == -1 else layers


def gpu_trouble(spec: InferenceServiceSpec, model: ModelSpec) -> Trouble | None:
    """Return that GPUs are asked for where the accelerator has none: they would idle while the CPU works."""
    if model.hardware.accelerator != "cpu":
        return None
    fix = "set hardware.accelerator of the Model to cuda, rocm, vulkan or intel, or ask for no GPU"
    if model.hardware.gpu_count and (asked_layers(model) or asked_layers(model) is None):
        said = f"Model spec.hardware.gpu: expected none on the accelerator cpu, found {model.hardware.gpu_count}"
        return Trouble("NoAccelerator", f"{said}; {fix}")
    layers = asked_layers(model)
    if layers:
        said = f"Model spec.hardware.gpu.layers: expected 0 on the accelerator cpu, found {layers}"
        return Trouble("NoAccelerator", f"{said}; {fix}")
    if spec.resources and spec.resources.gpu:
        said = f"spec.resources.gpu: expected 0 for a Model on the accelerator cpu, found {spec.resources.gpu}"
        return Trouble("NoAccelerator", f"{said}; {fix}")
    return None


def memory_of_each(spec: InferenceServiceSpec, model: ModelSpec) -> int | None:
    """Return the memory of each GPU as far as the person says it: the service for all of the pod's, or the model."""
    count = gpus(spec, model)
    all_of_them = spec.resources.gpu_memory if spec.resources else None
    if all_of_them is not None and count:
        return quantity.to_int(all_of_them) // count
    said = model.hardware.gpu.memory if model.hardware.gpu else None
    return quantity.to_int(said) if said is not None else None


def cache_ram(spec: InferenceServiceSpec) -> int:
    """Return the MiB of host memory for the prompts of idle slots; only chats come back to them."""
    return CACHE_RAM_MIB if spec.mode == "chat" else 0


def gpu_resource(model: ModelSpec) -> str:
    """Return the extended resource, which is also the key of the taint, of the model's GPUs."""
    return _GPU_RESOURCES[model.hardware.gpu_vendor]


def _asked(spec: InferenceServiceSpec, model: ModelSpec, field: str) -> str | None:
    """The service's own word counts before the model's."""
    for said in (spec.resources, model.resources):
        if said is not None and (value := getattr(said, field)) is not None:
            return str(value)
    return None


def _threads(cpu: str | None) -> int:
    """As many as the CPU comes to: more would wait for one another. An absurd request is no absurd flag."""
    return min(max(1, ceil(quantity.parse(cpu))), MOST_THREADS) if cpu else DEFAULT_THREADS


def _planned(spec: InferenceServiceSpec, engine: EnginePlan) -> int | None:
    """Host memory of one pod: what the plan leaves there, and what the engine takes besides."""
    if engine.memory is None:
        return None
    return engine.memory.host.total + cache_ram(spec) * MI + _MARGIN + (_GPU_DRIVER if engine.gpus else 0)


def _mebibytes(size: int) -> str:
    return f"{-(-size // MI)}Mi"
