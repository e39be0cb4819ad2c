"""Routes that a real controller serves: Traefik leads requests to streamed tokens of a real engine in local mode."""

from __future__ import annotations

import asyncio
import http.client
import json
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.gobuild import BuildError
from tests.component.local.conftest import running
from tests.component.local.file_servers import ModelServer
from tests.component.local.local_mode import LocalMode, Object, condition, model, service, until
from tests.component.local.streams import Load
from tests.component.local.test_access import secret, tls_secret, trusting
from tests.foreign_kinds import gateway_definitions
from tests.real_engine import MISSING, VARIABLE, program
from tests.real_traefik import NOT_TESTED, Traefik, classes, traefik
from tests.wire.models.web_servers import Authority

pytestmark = pytest.mark.timeout(400)
SERVICES = "apis/inference.llmkube.dev/v1alpha1/namespaces/default/inferenceservices"
HTTP_ROUTES = "apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"
GATEWAYS = "apis/gateway.networking.k8s.io/v1/namespaces/default/gateways"
INGRESSES = "apis/networking.k8s.io/v1/namespaces/default/ingresses"


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with tempfile.TemporaryDirectory(prefix="llmkube-ca-") as folder:
        yield Authority(Path(folder))


@pytest.fixture(scope="module")
def local() -> Iterator[LocalMode]:
    """Local mode whose operator found the Gateway API there when it started."""
    try:
        definitions = gateway_definitions()
    except BuildError as error:
        pytest.skip(f"{NOT_TESTED}: {error}")
    engine = program("llama-server")
    with running({VARIABLE: engine} if engine else {}) as mode:
        mode.apply(*(yaml.safe_load(each.read_text()) for each in definitions))
        mode.llmkube("local", "down")
        mode.llmkube("local", "up")
        yield mode


@pytest.fixture(scope="module")
def controller(local: LocalMode, models: ModelServer, authority: Authority, tmp_path_factory: Any) -> Iterator[Traefik]:
    """The controller, its classes, a Gateway with a certificate, and the Model of all services here."""
    folder = tmp_path_factory.mktemp("traefik")
    with traefik(local.kubeconfig, folder / "log") as found:
        certificate = tls_secret(authority, authority.bundle.parent, "127.0.0.1")
        local.apply(certificate, *classes(), gateway(found), model("chat", models.url("smollm2.gguf")))
        until(lambda: local.get(GATEWAYS, "edge"), lambda it: condition(it["status"], "Programmed")["status"] == "True")
        yield found


def gateway(found: Traefik) -> Object:
    """A Gateway as whoever runs the cluster makes it: one listener for HTTP, one for HTTPS."""
    listeners: list[Object] = [
        {"name": "http", "port": found.http, "protocol": "HTTP"},
        {"name": "https", "port": found.https, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}},
    ]
    metadata = {"name": "edge", "namespace": "default"}
    spec = {"gatewayClassName": "traefik", "listeners": listeners}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata, "spec": spec}


ROUTES = {
    "Ingress": {"kind": "Ingress", "className": "traefik"},
    "HTTPRoute": {"kind": "HTTPRoute", "parentRef": {"name": "edge", "sectionName": "http"}},
}


class Client:
    """What a person outside of the cluster does: a host name that leads to the controller, and nothing else.

    Each request has a connection of its own, and says so: see docs/serving.md of what Go's proxies do to kept ones.
    """

    def __init__(self, controller: Traefik, host: str, *, trusts: Authority | None = None, key: str = "") -> None:
        self._port = controller.https if trusts else controller.http
        self._context = trusting(trusts) if trusts else None
        self.headers = {"Host": host, "Connection": "close"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def connect(self) -> http.client.HTTPConnection:
        if self._context:
            return http.client.HTTPSConnection("127.0.0.1", self._port, timeout=60, context=self._context)
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)

    def status(self, path: str = "/v1/models") -> int:
        with closing(self.connect()) as connection:
            connection.request("GET", path, headers=self.headers)
            return connection.getresponse().status

    def until_routed(self) -> None:
        until(self.status, lambda found: found == 200, seconds=30)

    def ask(self, connection: http.client.HTTPConnection, *, tokens: int) -> http.client.HTTPResponse:
        question = [{"role": "user", "content": "Tell me of the sea."}]
        body: Object = {"messages": question, "stream": True, "max_tokens": tokens}
        headers = {"Content-Type": "application/json", **self.headers}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        return answer

    def streamed(self) -> list[str]:
        """The pieces of one answer; it has to end as the engine ends it."""
        with closing(self.connect()) as connection:
            lines = [line.decode().strip() for line in self.ask(connection, tokens=12)]
        events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        assert events[-1] == "[DONE]"
        choices = [choice for each in events[:-1] for choice in json.loads(each).get("choices", ())]
        return [piece for each in choices if (piece := each["delta"].get("content"))]


def routed(local: LocalMode, name: str, route: Object, **spec: Any) -> Object:
    """A service with this route, ready; `endpoint` is what its endpoint says besides."""
    endpoint = {"route": {"hosts": [f"{name}.example.com"], **route}, **spec.pop("endpoint", {})}
    local.apply(service(name, "chat", endpoint=endpoint, **spec))
    return local.until_ready(name, replicas=spec.get("replicas", 1))


@pytest.mark.parametrize("kind", ROUTES)
def test_two_documents_with_a_route_are_tokens_at_the_controllers_address_until_the_service_is_deleted(
    local: LocalMode, controller: Traefik, kind: str
) -> None:
    name = f"way-{list(ROUTES).index(kind)}"
    ready = routed(local, name, ROUTES[kind])
    assert condition(ready["status"], "Degraded").get("status") != "True"
    assert ready["status"]["externalEndpoint"] == f"http://{name}.example.com/v1/chat/completions"
    client = Client(controller, f"{name}.example.com")
    client.until_routed()
    assert len(client.streamed()) > 1
    assert client.status("/metrics") == 404, "the engine's own pages are not part of the route"
    assert client.status("/v10/models") == 404, "a prefix is of whole segments"
    assert Client(controller, "other.example.com").status() == 404
    local.delete(SERVICES, name)
    until(client.status, lambda found: found == 404, seconds=60)
    until(lambda: [*local.items(INGRESSES), *local.items(HTTP_ROUTES)], lambda left: left == [])


@pytest.mark.parametrize("kind", ROUTES)
def test_a_token_is_with_the_client_while_the_engine_still_makes_the_next_ones(
    local: LocalMode, controller: Traefik, kind: str
) -> None:
    ready = routed(local, f"live-{kind.lower()}", ROUTES[kind])
    client = Client(controller, f"live-{kind.lower()}.example.com")
    client.until_routed()
    with closing(client.connect()) as connection:
        answer = client.ask(connection, tokens=400)
        assert answer.readline().startswith(b"data: "), "the first event"
        assert any(each["is_processing"] for each in slots(ready)), "nothing on the way held it back"
    until(lambda: slots(ready), lambda found: not any(each["is_processing"] for each in found), seconds=120)


def slots(ready: Object) -> Any:
    """What the engine itself says of its slots, asked within the cluster."""
    with urllib.request.urlopen(ready["status"]["endpoint"].partition("/v1")[0] + "/slots", timeout=10) as response:
        return json.load(response)


SECURED = {
    "Ingress": {"kind": "Ingress", "className": "traefik", "tls": {"secretRef": {"name": "cert"}}},
    "HTTPRoute": {"kind": "HTTPRoute", "parentRef": {"name": "edge", "sectionName": "https"}, "tls": {}},
}


@pytest.mark.parametrize("kind", SECURED)
def test_clients_come_by_https_with_the_certificate_and_a_key_that_the_controller_passes_on(
    local: LocalMode, controller: Traefik, authority: Authority, kind: str
) -> None:
    local.apply(secret("keys", {"api-keys": "sk-one\n"}))
    ready = routed(local, f"safe-{kind.lower()}", SECURED[kind], auth={"secretRef": {"name": "keys"}})
    assert ready["status"]["externalEndpoint"] == f"https://safe-{kind.lower()}.example.com/v1/chat/completions"
    client = Client(controller, f"safe-{kind.lower()}.example.com", trusts=authority, key="sk-one")
    client.until_routed()
    assert len(client.streamed()) > 1
    assert unanswered(Client(controller, f"safe-{kind.lower()}.example.com", trusts=authority)) == 401
    assert unanswered(Client(controller, f"safe-{kind.lower()}.example.com", trusts=authority, key="sk-two")) == 401


def unanswered(client: Client) -> int:
    """The status of a question that is not answered."""
    with closing(client.connect()) as connection:
        connection.request("POST", "/v1/chat/completions", "{}", client.headers)
        return connection.getresponse().status


BEHIND_TLS = {
    "Ingress": {"annotations": {"traefik.ingress.kubernetes.io/service.serversscheme": "https"}},
    "HTTPRoute": {},
}


@pytest.mark.parametrize("kind", BEHIND_TLS)
def test_an_engine_that_answers_by_https_is_reached_through_its_route(
    local: LocalMode, controller: Traefik, authority: Authority, kind: str
) -> None:
    if not program("llama-server"):
        pytest.skip(f"NO llama-server: {MISSING}; xllamacpp is built without SSL, so TLS behind a route is NOT tested")
    routed(
        local,
        f"inner-{kind.lower()}",
        ROUTES[kind],
        endpoint={"tls": {"secretRef": {"name": "cert"}}, **BEHIND_TLS[kind]},
    )
    client = Client(controller, f"inner-{kind.lower()}.example.com")
    client.until_routed()
    assert len(client.streamed()) > 1


@pytest.mark.parametrize("kind", ROUTES)
async def test_a_roll_out_behind_a_route_loses_no_stream(local: LocalMode, controller: Traefik, kind: str) -> None:
    name = f"roll-{kind.lower()}"
    spec = {"replicas": 2, "parallel": 4, "resources": {"cpu": "1"}}
    routed(local, name, ROUTES[kind], **spec)
    before = pods(local, name)
    await asyncio.to_thread(Client(controller, f"{name}.example.com").until_routed)
    load = Load(f"http://127.0.0.1:{controller.http}", host=f"{name}.example.com")
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        await asyncio.to_thread(routed, local, name, ROUTES[kind], env=[{"name": "ROLLED", "value": "1"}], **spec)
        await asyncio.to_thread(
            until, lambda: pods(local, name), lambda found: len(found) == 2 and not found & before, seconds=200
        )
        load.enough = load.total + 8
        load.stopping.set()
    print(f"{kind}: {load.ended}")
    assert load.errors == []
    assert set(load.ended) == {"whole"}
    local.delete(SERVICES, name)


def pods(local: LocalMode, name: str) -> set[str]:
    return {each["metadata"]["name"] for each in local.pods(name)}


def test_a_route_that_no_gateway_serves_is_told_until_it_is_mended(local: LocalMode, controller: Traefik) -> None:
    def degraded(reason: str) -> str:
        found = until(
            lambda: condition(local.service("lost")["status"], "Degraded"), lambda it: it.get("reason") == reason
        )
        return str(found["message"])

    routed(local, "lost", {"kind": "HTTPRoute", "parentRef": {"name": "nowhere"}})
    assert "HTTPRoute lost: no controller has taken it" in degraded("NoGateway")
    routed(local, "lost", {"kind": "HTTPRoute", "parentRef": {"name": "edge", "sectionName": "other"}})
    assert "HTTPRoute lost: Gateway edge does not serve it (Accepted=False, " in degraded("RouteNotServed")
    routed(local, "lost", ROUTES["HTTPRoute"])
    assert degraded("AsExpected")
    Client(controller, "lost.example.com").until_routed()
    local.delete(SERVICES, "lost")
