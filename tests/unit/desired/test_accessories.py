"""What stands beside a service: wanted only where it is asked for, and never more open than that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmkube.desired.accessories import accessories, fetches
from llmkube.desired.endpoint import external_endpoint
from llmkube.desired.network_policy import shut_out
from llmkube.desired.replicas import Scale
from llmkube.desired.settings import OperatorSettings

Factory = Callable[..., Any]
Manifest = dict[str, Any]
INGRESS = {"kind": "Ingress", "hosts": ["chat.example.com"]}
HTTP_ROUTE = {"kind": "HTTPRoute", "hosts": ["chat.example.com"], "parentRef": {"name": "edge"}}


@pytest.fixture
def beside(resource: Factory, isvc_spec: Factory) -> Factory:
    """What is wanted for a spec, by kind."""

    def render(
        *, scale: Scale | None = None, settings: OperatorSettings | None = None, fetching: bool = False, **fields: Any
    ) -> dict[str, Manifest]:
        isvc, spec = resource("InferenceService", "chat"), isvc_spec(**fields)
        made = accessories(
            isvc, spec, settings or OperatorSettings(), scale=scale or Scale(spec.replicas), fetches=fetching
        )
        return {each.kind.kind: each.manifest for each in made}

    return render


def test_a_plain_service_of_one_pod_has_nothing_beside_it(beside: Factory) -> None:
    assert beside() == {}


def test_everything_beside_a_service_is_owned_by_it_and_labelled_as_its_own(
    beside: Factory, rendered_deployment: Factory
) -> None:
    made = beside(replicas=2, networkPolicy={}, settings=OperatorSettings(scrape="podmonitor"))
    made |= beside(endpoint={"route": INGRESS}) | beside(endpoint={"route": HTTP_ROUTE})
    kinds = {"NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "Ingress", "HTTPRoute"}
    assert set(made) == kinds
    for each in made.values():
        (owner,) = each["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["controller"], each["metadata"]["namespace"]) == ("InferenceService", True, "team")
        assert each["metadata"]["labels"]["app.kubernetes.io/name"] == "llmkube"


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (Scale(0), False),
        (Scale(1), False),
        (Scale(2), True),
        (Scale(1, "hpa", is_handed_over=True), True),
        (Scale(0, "hpa"), False),
    ],
)
def test_several_pods_and_those_of_an_autoscaler_are_evicted_one_by_one(
    scale: Scale, expected: bool, beside: Factory, rendered_deployment: Factory
) -> None:
    budget = beside(scale=scale).get("PodDisruptionBudget")
    assert (budget is not None) is expected
    if budget:
        selector = rendered_deployment()["spec"]["selector"]
        assert budget["spec"]["selector"]["matchLabels"].keys() == selector["matchLabels"].keys()
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def policy(made: dict[str, Manifest]) -> Manifest:
    spec: Manifest = made["NetworkPolicy"]["spec"]
    return spec


def test_a_network_policy_lets_pods_of_the_namespace_in_and_nobody_out(beside: Factory) -> None:
    spec = policy(beside(networkPolicy={}))
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["egress"] == []
    assert spec["ingress"] == [{"from": [{"podSelector": {}}], "ports": [{"port": "http", "protocol": "TCP"}]}]


def test_a_network_policy_that_is_not_enabled_is_not_made(beside: Factory) -> None:
    assert beside(networkPolicy={"enabled": False}) == {}


def test_peers_are_those_that_are_named_and_the_scrapers_namespace(beside: Factory) -> None:
    named = {"namespaceSelector": {"matchLabels": {"team": "web"}}, "podSelector": {"matchLabels": {"app": "front"}}}
    block = {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.7/32"]}}
    settings = OperatorSettings(scrape_from=("monitoring",))
    spec = policy(beside(networkPolicy={"allowFrom": [named, block]}, settings=settings))
    scraper = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert spec["ingress"][0]["from"] == [named, block, scraper]


def test_an_empty_list_of_peers_lets_nobody_in_and_never_everybody(beside: Factory) -> None:
    assert policy(beside(networkPolicy={"allowFrom": []}))["ingress"] == []


@pytest.mark.parametrize(("said", "fetching"), [({}, True), ({"egress": "Allow"}, False)])
def test_pods_that_fetch_for_themselves_or_may_go_out_are_not_closed_off(
    said: Manifest, fetching: bool, beside: Factory
) -> None:
    assert policy(beside(networkPolicy=said, fetching=fetching))["policyTypes"] == ["Ingress"]


def test_only_pods_in_cache_mode_ephemeral_fetch(rendered_deployment: Factory) -> None:
    assert fetches(rendered_deployment(model={"cache": {"mode": "Ephemeral"}}))
    assert not fetches(rendered_deployment())
    assert not fetches({})


@pytest.mark.parametrize("endpoint", [{"type": "LoadBalancer"}, {"type": "NodePort"}, {"route": INGRESS}])
def test_a_way_in_from_outside_whose_end_is_shut_is_told(endpoint: Manifest, isvc_spec: Factory) -> None:
    assert shut_out(isvc_spec(endpoint=endpoint)) is None
    told = shut_out(isvc_spec(endpoint=endpoint, networkPolicy={}))
    assert told is not None
    assert "spec.networkPolicy.allowFrom" in told.message
    named = {"allowFrom": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}
    assert shut_out(isvc_spec(endpoint=endpoint, networkPolicy=named)) is None


def test_an_ingress_opens_the_openai_api_alone_by_default(beside: Factory) -> None:
    route = {
        **INGRESS,
        "className": "nginx",
        "tls": {"secretRef": {"name": "cert"}},
        "annotations": {"a.example/b": "c"},
    }
    made = beside(endpoint={"route": route})["Ingress"]
    assert made["metadata"]["annotations"] == {"a.example/b": "c"}
    assert made["spec"]["ingressClassName"] == "nginx"
    assert made["spec"]["tls"] == [{"hosts": ["chat.example.com"], "secretName": "cert"}]
    backend = {"service": {"name": "chat", "port": {"name": "http"}}}
    paths = [{"path": "/v1", "pathType": "Prefix", "backend": backend}]
    assert made["spec"]["rules"] == [{"host": "chat.example.com", "http": {"paths": paths}}]


def test_an_http_route_leads_from_its_gateway_to_the_service(beside: Factory) -> None:
    made = beside(endpoint={"port": 80, "route": HTTP_ROUTE})["HTTPRoute"]
    assert made["spec"] == {
        "parentRefs": [{"name": "edge"}],
        "hostnames": ["chat.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/v1"}}],
                "backendRefs": [{"name": "chat", "port": 80}],
                "timeouts": {"request": "0s"},
            }
        ],
    }, "no time limit: an answer streams for as long as it takes"


@pytest.mark.parametrize(
    ("endpoint", "balancer", "expected"),
    [
        ({}, "", None),
        ({"type": "NodePort"}, "", None),
        ({"type": "LoadBalancer"}, "", None),
        ({"type": "LoadBalancer", "port": 80}, "192.0.2.9", "http://192.0.2.9:80/v1/chat/completions"),
        ({"type": "LoadBalancer"}, "2001:db8::9", "http://[2001:db8::9]:8080/v1/chat/completions"),
        ({"route": INGRESS}, "", "http://chat.example.com/v1/chat/completions"),
        ({"route": {**INGRESS, "tls": {}}}, "", "https://chat.example.com/v1/chat/completions"),
        ({"route": {**INGRESS, "path": "/v1/models"}}, "", "http://chat.example.com/v1/models"),
        ({"route": {**INGRESS, "path": "/"}}, "", "http://chat.example.com/v1/chat/completions"),
        ({"route": {**INGRESS, "hosts": ["*.example.com"]}}, "", None),
    ],
)
def test_the_url_from_outside_is_the_routes_or_the_load_balancers(
    endpoint: Manifest, balancer: str, expected: str | None, isvc_spec: Factory
) -> None:
    assert external_endpoint(isvc_spec(endpoint=endpoint), balancer=balancer) == expected


def test_a_pod_monitor_scrapes_with_the_api_key_and_by_https_where_the_engine_asks_for_both(beside: Factory) -> None:
    settings = OperatorSettings(scrape="podmonitor")
    plain = beside(settings=settings)["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert plain == [{"port": "http", "path": "/metrics", "scheme": "http"}]
    fields = {"auth": {"secretRef": {"name": "keys"}}, "endpoint": {"tls": {"secretRef": {"name": "cert"}}}}
    (guarded,) = beside(settings=settings, **fields)["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert guarded["scheme"] == "https"
    assert guarded["authorization"]["credentials"] == {"name": "keys", "key": "api-keys"}


def test_a_pod_monitor_scrapes_with_a_key_of_its_own_where_there_are_several(beside: Factory) -> None:
    auth = {"secretRef": {"name": "keys"}, "metricsKey": "scraper"}
    made = beside(settings=OperatorSettings(scrape="podmonitor"), auth=auth)["PodMonitor"]
    (endpoint,) = made["spec"]["podMetricsEndpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": "keys", "key": "scraper"}


def scraped(made: Manifest) -> Manifest:
    found: Manifest = made["spec"]["template"]["metadata"]["annotations"]
    return {name: value for name, value in found.items() if name.startswith("prometheus.io/")}


def test_pods_are_annotated_for_scraping_unless_they_have_keys_or_the_operator_says_otherwise(
    rendered_deployment: Factory,
) -> None:
    plain = scraped(rendered_deployment())
    assert plain["prometheus.io/scheme"] == "http"
    assert (plain["prometheus.io/scrape"], plain["prometheus.io/port"]) == ("true", "8080")
    tls = scraped(rendered_deployment(isvc={"endpoint": {"tls": {"secretRef": {"name": "cert"}}}}))
    assert tls["prometheus.io/scheme"] == "https"
    assert scraped(rendered_deployment(isvc={"auth": {"secretRef": {"name": "keys"}}})) == {}
