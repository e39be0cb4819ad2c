"""What a scrape says of each service, and how long its pods took."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.service_measures import ServiceMeasures, StartTimes
from llmkube.kube.objects import CustomResource, Pod

READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:41Z"}
LABELS = {"inference.llmkube.dev/service": "chat"}
NAMED = {"namespace": "team", "name": "chat"}
PREFIX = "llmkube_inferenceservice_"


def service(status: dict[str, Any]) -> CustomResource:
    obj = {"metadata": {**NAMED, "uid": "u"}, "spec": {"modelRef": "tiny"}, "status": status}
    return msgspec.json.decode(msgspec.json.encode(obj), type=CustomResource)


def pod(*conditions: dict[str, str], uid: str = "p", restarts: int = 0, started: str = "2026-01-01T00:00:31Z") -> Pod:
    engine = {"name": "llama-server", "restartCount": restarts, "state": {"running": {"startedAt": started}}}
    metadata = {"name": uid, "namespace": "team", "uid": uid, "labels": LABELS}
    obj = {
        "metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:01Z"},
        "status": {"conditions": conditions, "containerStatuses": [engine]},
    }
    return msgspec.json.decode(msgspec.json.encode(obj), type=Pod)


class Scraped(Collector):
    def __init__(self, known: Caches) -> None:
        self.measures = ServiceMeasures(known)

    def collect(self) -> Any:
        return self.measures.families()


@pytest.fixture
def known() -> Caches:
    return caches(None)  # type: ignore[arg-type]


@pytest.fixture
def registry(known: Caches) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(Scraped(known))
    return made


def test_a_service_has_its_model_phase_replicas_plan_and_offload(known: Caches, registry: CollectorRegistry) -> None:
    plan = {"memory": {"gpu": [10, 20], "host": 5}}
    replicas = {"readyReplicas": 1, "desiredReplicas": 2}
    known.inference_services.store.apply(
        service({"phase": "Ready", **replicas, "plan": plan, "offload": {"planned": 31, "observed": 30}})
    )
    value = registry.get_sample_value
    assert value(f"{PREFIX}info", {**NAMED, "model": "tiny"}) == 1
    assert value(f"{PREFIX}status_phase", {**NAMED, "phase": "Ready"}) == 1
    assert value(f"{PREFIX}status_replicas_ready", NAMED) == 1
    assert value(f"{PREFIX}status_replicas_desired", NAMED) == 2
    assert value(f"{PREFIX}plan_memory_bytes", {**NAMED, "device": "gpu1"}) == 20
    assert value(f"{PREFIX}plan_memory_bytes", {**NAMED, "device": "host"}) == 5
    assert value(f"{PREFIX}plan_gpu_layers", NAMED) == 31
    assert value(f"{PREFIX}observed_gpu_layers", NAMED) == 30


def test_what_is_not_known_has_no_series_and_a_status_of_anything_breaks_no_scrape(
    known: Caches, registry: CollectorRegistry
) -> None:
    known.inference_services.store.apply(service({"phase": 7}))
    samples = [each.name for family in registry.collect() for each in family.samples]
    assert f"{PREFIX}info" in samples
    assert f"{PREFIX}plan_gpu_layers" not in samples
    assert f"{PREFIX}cold_start_seconds" not in samples


def test_series_go_with_the_service(known: Caches, registry: CollectorRegistry) -> None:
    made = service({})
    known.inference_services.store.apply(made)
    known.inference_services.store.remove(made)
    assert [each for family in registry.collect() for each in family.samples] == []


def test_a_cold_start_is_from_the_pod_to_ready_and_a_load_from_its_container() -> None:
    starts = StartTimes()
    starts.noted(None, pod(), initial=False)
    assert starts.of("team/chat") is None
    starts.noted(pod(), pod(READY), initial=False)
    assert starts.of("team/chat") == ("p", 0, 40.0, 10.0)


def test_a_pod_that_is_ready_again_later_has_not_started_again() -> None:
    starts = StartTimes()
    starts.noted(None, pod(READY), initial=False)
    later = {**READY, "lastTransitionTime": "2026-01-01T02:00:00Z"}
    starts.noted(pod(READY), pod(later), initial=False)
    assert starts.of("team/chat") == ("p", 0, 40.0, 10.0)


def test_a_container_that_was_started_anew_has_loaded_again_and_was_not_cold() -> None:
    starts = StartTimes()
    starts.noted(None, pod(READY), initial=False)
    later = {**READY, "lastTransitionTime": "2026-01-01T02:00:07Z"}
    starts.noted(pod(READY), pod(later, restarts=1, started="2026-01-01T02:00:00Z"), initial=False)
    assert starts.of("team/chat") == ("p", 1, None, 7.0)


def test_pods_and_services_that_are_gone_are_forgotten() -> None:
    starts = StartTimes()
    starts.noted(None, pod(READY), initial=False)
    starts.noted(pod(READY), None, initial=False)
    starts.keep(["team/other"])
    assert starts == StartTimes()


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-01-01T00:00:41"])
def test_what_is_no_time_is_no_start(moment: str) -> None:
    starts = StartTimes()
    starts.noted(None, pod({**READY, "lastTransitionTime": moment}), initial=False)
    assert starts.of("team/chat") is None
