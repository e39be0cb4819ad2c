"""NetworkPolicy, PodDisruptionBudget, Ingress, HTTPRoute and PodMonitor on a control plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.operator.api import Refused
from tests.component.operator.conftest import is_ready

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.process import Operator

    Serving = Callable[..., Object]

pytestmark = pytest.mark.usefixtures("steady")
ROUTE = {"kind": "Ingress", "hosts": ["chat.example.com"], "className": "none"}
ALL = {"replicas": 2, "networkPolicy": {}, "endpoint": {"route": ROUTE}}
KINDS = ("networkpolicies", "poddisruptionbudgets", "ingresses")


def names(api: Api, here: str) -> list[str]:
    return [f"{kind}/{each['metadata']['name']}" for kind in KINDS for each in api.items(kind, here)]


def test_what_a_service_asks_for_beside_it_is_made_and_pruned_when_it_asks_no_more(
    api: Api, here: str, serving: Serving, until: Until
) -> None:
    serving(**ALL)
    assert names(api, here) == [f"{kind}/chat" for kind in KINDS]
    nothing = {"replicas": 1, "networkPolicy": None, "endpoint": None}
    api.patch("inferenceservices", here, "chat", {"spec": nothing})
    until(lambda: names(api, here), lambda left: left == [])


def test_what_is_changed_or_deleted_by_a_person_is_put_back(
    api: Api, here: str, serving: Serving, until: Until
) -> None:
    serving(**ALL)
    open_to_all = {"spec": {"ingress": [{}]}}
    api.patch("networkpolicies", here, "chat", open_to_all)
    until(lambda: api.get("networkpolicies", here, "chat")["spec"]["ingress"] != [{}])
    before = api.get("poddisruptionbudgets", here, "chat")["metadata"]["uid"]
    api.delete("poddisruptionbudgets", here, "chat")
    until(lambda: api.get("poddisruptionbudgets", here, "chat")["metadata"]["uid"] != before)


def theirs(kind: str, api_version: str, spec: Object) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "chat"}, "spec": spec}


def test_an_ingress_that_is_somebody_elses_is_left_alone_and_told_and_the_service_goes_on(
    api: Api, here: str, serving: Serving, until: Until
) -> None:
    spec = {"rules": [{"host": "theirs.example.com"}]}
    made = api.apply("ingresses", here, theirs("Ingress", "networking.k8s.io/v1", spec))
    found = serving(endpoint={"route": ROUTE})
    assert told(found, "Degraded")["reason"] == "NameTaken"
    assert api.get("ingresses", here, "chat")["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_no_pod_is_made_while_the_policy_that_guards_it_has_somebody_elses_name(
    api: Api, here: str, operator: Operator, documents: Any, until: Until
) -> None:
    api.apply("networkpolicies", here, theirs("NetworkPolicy", "networking.k8s.io/v1", {"podSelector": {}}))
    model, service = documents(networkPolicy={})
    api.apply("models", here, model)
    api.apply("inferenceservices", here, service)
    found = until(lambda: api.get("inferenceservices", here, "chat"), lambda it: it["status"]["phase"] == "Failed")
    assert told(found, "Available")["reason"] == "NameTaken"
    until(lambda: api.get("models", here, "chat")["status"]["phase"] == "Ready")
    assert api.items("deployments", here) == []


def told(service: Object, kind: str) -> Object:
    found: Object = next(each for each in service["status"]["conditions"] if each["type"] == kind)
    return found


def test_a_gateway_api_that_is_not_there_is_told_and_the_service_goes_on(api: Api, here: str, serving: Serving) -> None:
    found = serving(endpoint={"route": GATEWAY_ROUTE})
    assert told(found, "Degraded")["reason"] == "KindNotServed"
    assert "HTTPRoute" in told(found, "Degraded")["message"]
    assert found["status"]["externalEndpoint"] == "http://chat.example.com/v1/chat/completions"


GATEWAY_ROUTE = {"kind": "HTTPRoute", "hosts": ["chat.example.com"], "parentRef": {"name": "edge"}}


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [
        ({"route": {"kind": "HTTPRoute", "hosts": ["a.example"]}}, "parentRef"),
        ({"route": {**ROUTE, "parentRef": {"name": "edge"}}}, "parentRef"),
        ({"route": {**ROUTE, "hosts": []}}, "hosts"),
        ({"route": {**ROUTE, "hosts": ["no host"]}}, "hosts"),
    ],
)
def test_a_route_that_cannot_be_made_is_refused_with_its_field(
    api: Api, here: str, documents: Any, endpoint: Object, field: str
) -> None:
    _, service = documents(endpoint=endpoint)
    with pytest.raises(Refused, match=rf"spec\.endpoint\.route\.{field}"):
        api.apply("inferenceservices", here, service)


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_a_service_of_every_type_is_ready_and_its_numbers_are_the_api_servers(
    api: Api, here: str, serving: Serving, until: Until, kind: str
) -> None:
    annotations = {"lb.example/internal": "true"}
    found = serving(endpoint={"type": kind, "port": 80, "path": "/v1/models", "annotations": annotations})
    host = f"chat.{here}.svc.cluster.local"
    assert found["status"]["endpoint"] == f"http://{host}:80/v1/models"
    made = api.get("services", here, "chat")
    assert made["metadata"]["annotations"]["lb.example/internal"] == "true"
    (port,) = made["spec"]["ports"]
    assert ("nodePort" in port) is (kind != "ClusterIP")
    if kind == "LoadBalancer":
        ingress = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}
        api.patch("services", here, "chat", ingress, "status")
        found = until(
            lambda: api.get("inferenceservices", here, "chat"), lambda it: it["status"].get("externalEndpoint")
        )
        assert found["status"]["externalEndpoint"] == "http://192.0.2.9:80/v1/models"
        assert is_ready(found)
