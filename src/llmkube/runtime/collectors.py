"""What queues and stores are at the moment of a scrape; nothing is counted twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from llmkube.kube.informer import Statistics as StoreStatistics
    from llmkube.runtime.queue import Statistics as QueueStatistics


class Measured(Protocol):
    """A queue, to whoever scrapes it."""

    def statistics(self) -> QueueStatistics: ...


class Kept(Protocol):
    """An informer, to whoever scrapes it."""

    @property
    def name(self) -> str: ...
    def statistics(self) -> StoreStatistics: ...


class QueueCollector(Collector):
    """The queues, by controller."""

    def __init__(self) -> None:
        self._queues: dict[str, Measured] = {}

    def add(self, name: str, queue: Measured) -> None:
        """Scrape a queue from now on."""
        self._queues[name] = queue

    def statistics(self) -> dict[str, QueueStatistics]:
        """Return what each queue is right now."""
        return {name: queue.statistics() for name, queue in self._queues.items()}

    def collect(self) -> Iterable[Metric]:
        """Return client-go's gauges."""
        labels = ["name", "controller"]
        depth = GaugeMetricFamily("workqueue_depth", "Keys that wait for a worker.", labels=labels)
        unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds", "Time that keys in work have taken so far, together.", labels=labels
        )
        longest = GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds", "Time of the longest of them.", labels=labels
        )
        for name, now in self.statistics().items():
            depth.add_metric([name, name], now.ready)
            unfinished.add_metric([name, name], now.unfinished_seconds)
            longest.add_metric([name, name], now.longest_running_seconds)
        return [depth, unfinished, longest]


class StoreCollector(Collector):
    """The informers' stores, by kind."""

    def __init__(self) -> None:
        self._informers: list[Kept] = []

    def add(self, informer: Kept) -> None:
        """Scrape an informer from now on."""
        self._informers.append(informer)

    def statistics(self) -> dict[str, StoreStatistics]:
        """Return what each store is right now."""
        return {each.name: each.statistics() for each in self._informers}

    def collect(self) -> Iterable[Metric]:
        """Return objects, events, lists and versions."""
        objects = GaugeMetricFamily("informer_objects", "Objects in memory.", labels=["kind"])
        events = CounterMetricFamily("informer_events", "Changes that a watch told.", labels=["kind"])
        relists = CounterMetricFamily(
            "informer_relists", "Times that everything was listed, the first included.", labels=["kind"]
        )
        version = GaugeMetricFamily(
            "informer_store_resource_version", "What everything is known up to.", labels=["kind"]
        )
        for name, now in self.statistics().items():
            objects.add_metric([name], now.objects)
            events.add_metric([name], now.events)
            relists.add_metric([name], now.relists)
            version.add_metric([name], now.version)
        return [objects, events, relists, version]
