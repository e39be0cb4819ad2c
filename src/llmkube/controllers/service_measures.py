"""What a scrape says of each InferenceService: llmkube_inferenceservice_*, named in the habit of kube-state-metrics.

A service has a dozen series, which go with it; no label has a value that grows without bound. Reads what is in memory
only, and remembers how long the last start of each service took: later a pod's status may not say it any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from prometheus_client.core import GaugeMetricFamily

from llmkube.desired.labels import SERVICE
from llmkube.desired.naming import child_name
from llmkube.desired.start_times import Start, restarts_of, start_of
from llmkube.kube.errors import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from llmkube.controllers.caches import Caches
    from llmkube.kube.objects import CustomResource, Pod

_PREFIX = "llmkube_inferenceservice_"
_NAMED = ("namespace", "name")
_FAMILIES = {
    "info": ("1 for each service.", (*_NAMED, "model")),
    "status_phase": ("1 for the phase that it is in.", (*_NAMED, "phase")),
    "status_replicas_ready": ("Pods that answer.", _NAMED),
    "status_replicas_desired": ("Pods that there should be.", _NAMED),
    "cold_start_seconds": ("Of the last pod that became ready: since it was made.", _NAMED),
    "load_seconds": ("Of the last engine that became ready: since its container runs.", _NAMED),
    "plan_memory_bytes": ("Memory that the plan says one pod needs.", (*_NAMED, "device")),
    "plan_gpu_layers": ("Layers that the plan puts on GPUs.", _NAMED),
    "observed_gpu_layers": ("Layers that the engine says it put there.", _NAMED),
}


class _Spec(msgspec.Struct, rename="camel"):
    model_ref: str = ""


class _Memory(msgspec.Struct, frozen=True):
    gpu: tuple[int, ...] = ()
    host: int = 0


class _Plan(msgspec.Struct, frozen=True):
    memory: _Memory | None = None


class _Offload(msgspec.Struct, frozen=True):
    planned: int | None = None
    observed: int | None = None


class _Status(msgspec.Struct, rename="camel", frozen=True):
    phase: str = ""
    ready_replicas: int = 0
    desired_replicas: int = 0
    plan: _Plan = _Plan()
    offload: _Offload = _Offload()


@dataclass
class StartTimes:
    """The last start of each service: `noted` hears of every pod, `of` tells by the service's label."""

    _pods: dict[str, int] = field(default_factory=dict)
    _last: dict[str, Start] = field(default_factory=dict)

    def noted(self, old: Pod | None, new: Pod | None, *, initial: bool) -> None:
        """Note the first time that a container made its pod ready; that it is ready again later is no start."""
        if new is None:
            if old is not None:
                self._pods.pop(old.metadata.uid, None)
            return
        if self._pods.get(new.metadata.uid) == restarts_of(new) or not (start := start_of(new)):
            return
        self._pods[start.pod] = start.restarts
        self._last[f"{new.metadata.namespace}/{new.metadata.labels.get(SERVICE, '')}"] = start

    def of(self, service: str) -> Start | None:
        """Return how long it took, if anything was seen."""
        return self._last.get(service)

    def keep(self, services: Iterable[str]) -> None:
        """Forget every other service."""
        for gone in self._last.keys() - set(services):
            del self._last[gone]


class ServiceMeasures:
    """The families of all services."""

    def __init__(self, known: Caches) -> None:
        self._known = known
        self._starts = StartTimes()
        known.pods.add_handler(self._starts.noted)

    def families(self) -> Iterable[Metric]:
        """Return them, with a sample for whatever is known."""
        found = {
            name: GaugeMetricFamily(_PREFIX + name, text, labels=labels) for name, (text, labels) in _FAMILIES.items()
        }
        services = self._known.inference_services.store.list()
        self._starts.keep(map(_label, services))
        for service in services:
            for name, further, value in self._samples(service):
                named = [service.metadata.namespace, service.metadata.name]
                found[name].add_metric([*named, *further], value)
        return found.values()

    def _samples(self, service: CustomResource) -> Iterable[tuple[str, tuple[str, ...], float]]:
        status, start = _status(service), self._starts.of(_label(service))
        memory, offload = status.plan.memory or _Memory(), status.offload
        yield "info", (_model(service),), 1
        yield "status_phase", (status.phase or "None",), 1
        yield "status_replicas_ready", (), status.ready_replicas
        yield "status_replicas_desired", (), status.desired_replicas
        if memory.host:
            yield "plan_memory_bytes", ("host",), memory.host
        for number, size in enumerate(memory.gpu):
            yield "plan_memory_bytes", (f"gpu{number}",), size
        known = {
            "cold_start_seconds": start.cold if start else None,
            "load_seconds": start.load if start else None,
            "plan_gpu_layers": offload.planned,
            "observed_gpu_layers": offload.observed,
        }
        yield from ((name, (), value) for name, value in known.items() if value is not None)


def _label(service: CustomResource) -> str:
    return f"{service.metadata.namespace}/{child_name(service.metadata.name)}"


def _status(service: CustomResource) -> _Status:
    try:
        return msgspec.json.decode(service.status, type=_Status)
    except UNREADABLE:
        return _Status()


def _model(service: CustomResource) -> str:
    try:
        return msgspec.json.decode(service.spec, type=_Spec).model_ref
    except UNREADABLE:
        return ""
