"""The names and labels that people's dashboards know: client-go's and controller-runtime's, and our own."""

from __future__ import annotations

from tests.unit.runtime.conftest import HeldClock

from llmkube.cli.operator import Requests
from llmkube.kube.informer import Informer
from llmkube.kube.kinds import JOB
from llmkube.runtime.metrics import Metrics
from llmkube.runtime.queue import WorkQueue

RUNTIME = "controller_runtime_"
QUEUE, CONTROLLER, KIND = ("controller", "name"), ("controller",), ("kind",)
NAMES = {
    "workqueue_depth": QUEUE,
    "workqueue_adds_total": QUEUE,
    "workqueue_queue_duration_seconds_bucket": (*QUEUE[:1], "le", *QUEUE[1:]),
    "workqueue_work_duration_seconds_bucket": (*QUEUE[:1], "le", *QUEUE[1:]),
    "workqueue_unfinished_work_seconds": QUEUE,
    "workqueue_longest_running_processor_seconds": QUEUE,
    "workqueue_retries_total": QUEUE,
    f"{RUNTIME}reconcile_total": ("controller", "result"),
    f"{RUNTIME}reconcile_errors_total": CONTROLLER,
    f"{RUNTIME}terminal_reconcile_errors_total": CONTROLLER,
    f"{RUNTIME}reconcile_panics_total": CONTROLLER,
    f"{RUNTIME}reconcile_timeouts_total": CONTROLLER,
    f"{RUNTIME}reconcile_time_seconds_bucket": ("controller", "le"),
    f"{RUNTIME}max_concurrent_reconciles": CONTROLLER,
    f"{RUNTIME}active_workers": CONTROLLER,
    "leader_election_master_status": ("name",),
    "rest_client_requests_total": ("code", "method"),
    "rest_client_request_duration_seconds_bucket": ("le", "method"),
    "informer_objects": KIND,
    "informer_events_total": KIND,
    "informer_relists_total": KIND,
    "informer_store_resource_version": KIND,
}


def observed() -> Metrics:
    """Those of an operator that has asked once and done nothing yet."""
    metrics = Metrics()
    metrics.controller("model", WorkQueue(HeldClock())).concurrency(4)
    metrics.stores.add(Informer(None, JOB))  # type: ignore[arg-type]
    metrics.leader.labels("llmkube-operator").set(0)
    Requests(metrics).request(method="GET", code="200", seconds=0.1)
    return metrics


def test_every_metric_has_the_name_and_the_labels_that_dashboards_know() -> None:
    samples = [each for family in observed().registry.collect() for each in family.samples]
    found = {each.name: tuple(sorted(each.labels)) for each in samples}
    parts = ("_created", "_sum", "_count")
    assert {name: labels for name, labels in found.items() if not name.endswith(parts)} == NAMES


def test_every_result_of_a_reconcile_is_there_from_the_start() -> None:
    value = observed().registry.get_sample_value
    for result in ("success", "error", "requeue", "requeue_after"):
        assert value(f"{RUNTIME}reconcile_total", {"controller": "model", "result": result}) == 0
    assert value("informer_objects", {"kind": "jobs.batch"}) == 0
    assert value(f"{RUNTIME}max_concurrent_reconciles", {"controller": "model"}) == 4
