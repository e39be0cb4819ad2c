"""The Service, and the URL that pods reach it by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmkube.desired.endpoint import endpoint, external_endpoint
from llmkube.desired.service import service, service_name
from llmkube.desired.settings import OperatorSettings

Factory = Callable[..., Any]


def test_a_service_targets_the_named_port_of_its_own_pods(
    resource: Factory, isvc_spec: Factory, rendered_deployment: Factory
) -> None:
    made = service(resource("InferenceService", "chat"), isvc_spec(endpoint={"port": 80}))
    assert made["metadata"]["name"] == "chat"
    assert made["metadata"]["ownerReferences"][0]["kind"] == "InferenceService"
    assert made["spec"] == {
        "type": "ClusterIP",
        "selector": rendered_deployment()["spec"]["selector"]["matchLabels"],
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
    }


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_addresses_and_node_ports_are_left_to_the_api_server(kind: str, resource: Factory, isvc_spec: Factory) -> None:
    made = service(resource("InferenceService", "chat"), isvc_spec(endpoint={"type": kind}))
    assert made["spec"]["type"] == kind
    assert "clusterIP" not in made["spec"]
    assert "nodePort" not in made["spec"]["ports"][0]


def test_annotations_are_passed_on(resource: Factory, isvc_spec: Factory) -> None:
    annotations = {"lb.example/internal": "true"}
    made = service(resource("InferenceService", "chat"), isvc_spec(endpoint={"annotations": annotations}))
    assert made["metadata"]["annotations"] == annotations


@pytest.mark.parametrize(
    ("domain", "address", "expected"),
    [
        ("cluster.local", "", "http://chat.team.svc.cluster.local:8080/v1/chat/completions"),
        ("k8s.example", "10.0.0.9", "http://chat.team.svc.k8s.example:8080/v1/chat/completions"),
        ("", "127.96.0.4", "http://127.96.0.4:8080/v1/chat/completions"),
        ("", "fd00::4", "http://[fd00::4]:8080/v1/chat/completions"),
        ("", "", None),
        ("", "None", None),
    ],
)
def test_the_url_names_what_the_cluster_serves(
    domain: str, address: str, expected: str | None, resource: Factory, isvc_spec: Factory
) -> None:
    settings = OperatorSettings(cluster_domain=domain)
    isvc = resource("InferenceService", "chat")
    assert endpoint(isvc, isvc_spec(), settings=settings, cluster_ip=address) == expected


@pytest.mark.parametrize(
    ("mode", "said", "path"),
    [
        ("embedding", {}, "/v1/embeddings"),
        ("rerank", {}, "/v1/rerank"),
        ("rerank", {"path": "/v1/chat/completions"}, "/v1/rerank"),
        ("rerank", {"path": "/rerank"}, "/rerank"),
        ("chat", {}, "/v1/chat/completions"),
    ],
)
def test_the_url_has_the_path_of_the_mode_unless_another_is_said(
    mode: str, said: dict[str, str], path: str, resource: Factory, isvc_spec: Factory
) -> None:
    spec = isvc_spec(mode=mode, endpoint=said | {"route": {"kind": "Ingress", "hosts": ["a.example"]}})
    isvc = resource("InferenceService", "chat")
    assert (endpoint(isvc, spec, settings=OperatorSettings(), cluster_ip="") or "").endswith(f":8080{path}")
    outside = path if path.startswith("/v1/") else "/v1"
    assert external_endpoint(spec, balancer="") == f"http://a.example{outside}"


def test_the_url_has_the_services_own_port_path_and_name(resource: Factory, isvc_spec: Factory) -> None:
    spec = isvc_spec(endpoint={"port": 9000, "path": "/v1/embeddings"})
    isvc = resource("InferenceService", "chat.v2")
    url = endpoint(isvc, spec, settings=OperatorSettings(), cluster_ip="")
    assert url == f"http://{service_name('chat.v2')}.team.svc.cluster.local:9000/v1/embeddings"
    assert "." not in service_name("chat.v2")
