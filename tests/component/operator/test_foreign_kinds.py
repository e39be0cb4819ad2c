"""An HTTPRoute and a PodMonitor on a control plane that serves their published definitions."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.process import Operator

    Serving = Callable[..., Object]

pytestmark = [pytest.mark.usefixtures("foreign_kinds", "steady"), pytest.mark.timeout(200)]
ROUTE = {"kind": "HTTPRoute", "hosts": ["chat.example.com"], "parentRef": {"name": "edge"}}


@pytest.fixture
def flags() -> tuple[str, ...]:
    return ("--scrape", "podmonitor", "--reference-interval", "1")


def test_both_are_as_their_definitions_want_them_and_pruned(
    api: Api, here: str, serving: Serving, operator: Operator, until: Until
) -> None:
    serving(endpoint={"route": ROUTE})
    route = until(lambda: api.get("httproutes", here, "chat"))
    assert route["spec"]["rules"][0]["backendRefs"][0]["weight"] == 1, "the definition's own defaults"
    assert until(lambda: api.get("podmonitors", here, "chat"))["spec"]["podMetricsEndpoints"][0]["port"] == "http"
    sent = operator.settled()
    api.patch("httproutes", here, "chat", {"metadata": {"labels": {"a": "b"}}})
    assert operator.settled() == sent
    api.patch("inferenceservices", here, "chat", {"spec": {"endpoint": {"route": None}}})
    until(lambda: api.items("httproutes", here), lambda left: left == [])


def keys(**entries: str) -> Object:
    encoded = {name.replace("_", "-"): base64.b64encode(each.encode()).decode() for name, each in entries.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "data": encoded}


def condition(api: Api, here: str, kind: str) -> Object:
    told = api.get("inferenceservices", here, "chat")["status"]["conditions"]
    found: Object = next(each for each in told if each["type"] == kind)
    return found


def test_a_pod_monitor_that_names_no_single_api_key_is_told_while_the_service_goes_on_and_no_more_once_it_does(
    api: Api, here: str, serving: Serving, until: Until
) -> None:
    api.apply("secrets", here, keys(api_keys="marker-one\nmarker-two\n"))
    serving(auth={"secretRef": {"name": "keys"}})
    told = condition(api, here, "Degraded")
    assert (told["status"], told["reason"]) == ("True", "MetricsKeyUnusable")
    assert "found 2 keys" in told["message"]
    assert condition(api, here, "Available")["status"] == "True"
    assert until(lambda: api.get("podmonitors", here, "chat"))
    api.patch("inferenceservices", here, "chat", {"spec": {"auth": {"metricsKey": "scraper"}}})
    told = until(lambda: condition(api, here, "Degraded"), lambda it: it["reason"] == "SecretKeyNotFound")
    assert told["message"].startswith("spec.auth.metricsKey: expected a key scraper in Secret keys, found api-keys;")
    api.apply("secrets", here, keys(api_keys="marker-one\nmarker-two\n", scraper="marker-none"))
    told = until(lambda: condition(api, here, "Degraded"), lambda it: it["reason"] == "MetricsKeyUnknown")
    assert "marker" not in told["message"]
    api.apply("secrets", here, keys(api_keys="marker-one\nmarker-two\n", scraper="marker-two"))
    until(lambda: condition(api, here, "Degraded"), lambda it: it["reason"] == "AsExpected")
    assert api.get("inferenceservices", here, "chat")["status"]["phase"] == "Ready"
