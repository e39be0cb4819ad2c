"""What the operator knows of its domain when it is scraped: the metrics llmkube_*. Reads what is in memory only."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from llmkube.api.inference_status import InferencePhase
from llmkube.api.model import ModelPhase
from llmkube.controllers.service_measures import ServiceMeasures
from llmkube.kube.errors import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Metric

    from llmkube.controllers.caches import Caches
    from llmkube.kube.apply import Applier
    from llmkube.kube.events import EventRecorder
    from llmkube.kube.informer import Informer
    from llmkube.kube.objects import CustomResource

NONE = "None"


class _Status(msgspec.Struct):
    phase: str | None = None


class Measures(Collector):
    """Objects by phase, each InferenceService, and what the appliers and the events came to."""

    def __init__(self, known: Caches, appliers: Mapping[str, Applier], events: EventRecorder) -> None:
        self._known = known
        self._appliers = appliers
        self._events = events
        self._services = ServiceMeasures(known)

    def collect(self) -> Iterable[Metric]:
        """Return the families, every phase and every field manager from the start."""
        writes = CounterMetricFamily("llmkube_writes", "Writes that were sent.", labels=["manager"])
        blind = CounterMetricFamily(
            "llmkube_blind_decisions", "Decisions before an own write had come back.", labels=["manager"]
        )
        for name, applier in self._appliers.items():
            writes.add_metric([name], applier.writes)
            blind.add_metric([name], applier.waits_given_up)
        dropped = CounterMetricFamily("llmkube_events_dropped", "Events that were not told.", self._events.dropped)
        models = _by_phase("llmkube_models", "Models.", self._known.models, get_args(ModelPhase))
        services = self._known.inference_services
        served = _by_phase("llmkube_inference_services", "InferenceServices.", services, get_args(InferencePhase))
        return [models, served, *self._services.families(), writes, blind, dropped]


def _by_phase(name: str, text: str, informer: Informer[CustomResource], phases: tuple[str, ...]) -> Metric:
    """None is for what has no status yet, and for a phase that nobody here writes."""
    found = Counter(_phase(each) for each in informer.store.list())
    family = GaugeMetricFamily(name, text, labels=["phase"])
    for phase in phases:
        family.add_metric([phase], found[phase])
    family.add_metric([NONE], sum(count for phase, count in found.items() if phase not in phases))
    return family


def _phase(obj: CustomResource) -> str:
    try:
        return msgspec.json.decode(obj.status, type=_Status).phase or NONE
    except UNREADABLE:
        return NONE
