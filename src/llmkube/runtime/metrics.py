"""Every metric of the operator's machinery, under the names that people's dashboards already know.

The names are client-go's and controller-runtime's. What a queue is at a moment (depth, unfinished work) is read when
it is scraped; what happens to it is counted as it happens. One registry per manager: nothing here is global.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from llmkube.runtime.collectors import QueueCollector, StoreCollector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.runtime.collectors import Measured

RESULTS = ("success", "error", "requeue", "requeue_after")
QUEUE_BUCKETS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000)
RECONCILE_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
REQUEST_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)


class Metrics:
    """All families in one registry; `controller(name)` binds the ones of a controller."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.queues = QueueCollector()
        self.stores = StoreCollector()
        self.registry.register(self.queues)
        self.registry.register(self.stores)
        self._make_queue_families()
        self._make_controller_families()
        self.leader = Gauge(
            "leader_election_master_status", "1 while this process holds the lease.", ["name"], registry=self.registry
        )
        self.requests = Counter(
            "rest_client_requests", "Answers of the API server.", ["code", "method"], registry=self.registry
        )
        self.request_seconds = self._histogram(
            "rest_client_request_duration_seconds", "Time to an answer.", ["method"], REQUEST_BUCKETS
        )

    def controller(self, name: str, queue: Measured) -> ControllerMetrics:
        """The metrics of one controller and of its queue."""
        self.queues.add(name, queue)
        return ControllerMetrics(name, self)

    def _make_queue_families(self) -> None:
        labels = ["name", "controller"]
        self.adds = self._counter("workqueue_adds", "Keys added.", labels)
        self.retries = self._counter("workqueue_retries", "Keys added again with back-off.", labels)
        self.waits = self._histogram(
            "workqueue_queue_duration_seconds", "Time in the queue before a worker.", labels, QUEUE_BUCKETS
        )
        self.works = self._histogram(
            "workqueue_work_duration_seconds", "Time that a worker had a key.", labels, QUEUE_BUCKETS
        )

    def _make_controller_families(self) -> None:
        prefix, labels = "controller_runtime_", ["controller"]
        self.reconciles = self._counter(f"{prefix}reconcile", "Reconciles by result.", [*labels, "result"])
        self.errors = self._counter(f"{prefix}reconcile_errors", "Reconciles that failed.", labels)
        self.terminal_errors = self._counter(
            f"{prefix}terminal_reconcile_errors", "Reconciles that failed and are not retried.", labels
        )
        self.panics = self._counter(f"{prefix}reconcile_panics", "Reconciles that failed by a bug.", labels)
        self.timeouts = self._counter(f"{prefix}reconcile_timeouts", "Reconciles cancelled for their time.", labels)
        self.times = self._histogram(
            f"{prefix}reconcile_time_seconds", "Time of a reconcile.", labels, RECONCILE_BUCKETS
        )
        self.concurrent = self._gauge(f"{prefix}max_concurrent_reconciles", "Workers of a controller.", labels)
        self.active = self._gauge(f"{prefix}active_workers", "Workers that are reconciling.", labels)

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: list[str], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)


class QueueMetrics:
    """Counts what happens to one queue; the queue's observer."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self._adds = metrics.adds.labels(name, name)
        self._retries = metrics.retries.labels(name, name)
        self._waits = metrics.waits.labels(name, name)
        self._works = metrics.works.labels(name, name)

    def added(self) -> None:
        self._adds.inc()

    def retried(self) -> None:
        self._retries.inc()

    def taken(self, waited: float) -> None:
        self._waits.observe(waited)

    def finished(self, worked: float) -> None:
        self._works.observe(worked)


class ControllerMetrics:
    """Counts what happens in one controller, every result at 0 from the start.

    A timeout, a panic and a terminal error are errors too.
    """

    def __init__(self, name: str, metrics: Metrics) -> None:
        self.queue = QueueMetrics(name, metrics)
        self._results = {result: metrics.reconciles.labels(name, result) for result in RESULTS}
        self._errors = metrics.errors.labels(name)
        self._terminal_errors = metrics.terminal_errors.labels(name)
        self._panics = metrics.panics.labels(name)
        self._timeouts = metrics.timeouts.labels(name)
        self._times = metrics.times.labels(name)
        self._active = metrics.active.labels(name)
        self._concurrent = metrics.concurrent.labels(name)

    def concurrency(self, workers: int) -> None:
        self._concurrent.set(workers)

    @contextmanager
    def reconciling(self) -> Iterator[None]:
        started = time.perf_counter()
        with self._active.track_inprogress():
            yield
        self._times.observe(time.perf_counter() - started)

    def count(self, result: str) -> None:
        self._results[result].inc()

    def error(self) -> None:
        self.count("error")
        self._errors.inc()

    def terminal_error(self) -> None:
        self.error()
        self._terminal_errors.inc()

    def panic(self) -> None:
        self.error()
        self._panics.inc()

    def timeout(self) -> None:
        self.error()
        self._timeouts.inc()
