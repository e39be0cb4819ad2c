"""What a scrape says of Models, services, writes and events."""

from __future__ import annotations

import msgspec
from tests.unit.controllers.conftest import HeldClock

from llmkube.controllers.setup import controllers
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.client import Client
from llmkube.kube.config import ClusterConfig, StaticToken
from llmkube.kube.objects import CustomResource, ObjectMeta
from llmkube.kube.transport import Transport
from llmkube.runtime.metrics import Metrics


def with_status(name: str, status: bytes) -> CustomResource:
    return CustomResource(metadata=ObjectMeta(name=name, namespace="team", uid=name), status=msgspec.Raw(status))


def test_models_are_counted_by_phase_and_every_series_is_there_from_the_start() -> None:
    client = Client(Transport(ClusterConfig("http://127.0.0.1:1", "team", StaticToken())))
    wiring, metrics = controllers(client, OperatorSettings(), HeldClock()), Metrics()
    metrics.registry.register(wiring.measures)
    models = next(each for each in wiring.informers if each.kind.kind == "Model")
    for name, status in (("a", b'{"phase": "Ready"}'), ("b", b'{"phase": "Ready"}'), ("c", b"{}"), ("d", b"[]")):
        models.store.apply(with_status(name, status))
    value = metrics.registry.get_sample_value
    assert {phase: value("llmkube_models", {"phase": phase}) for phase in ("Ready", "Failed", "None")} == {
        "Ready": 2,
        "Failed": 0,
        "None": 2,
    }
    assert value("llmkube_inference_services", {"phase": "Ready"}) == 0
    wiring.appliers["llmkube-model"].writes = 3
    wiring.appliers["llmkube-inference"].waits_given_up = 2
    assert value("llmkube_writes_total", {"manager": "llmkube-model"}) == 3
    assert value("llmkube_blind_decisions_total", {"manager": "llmkube-inference"}) == 2
    assert value("llmkube_events_dropped_total") == 0
