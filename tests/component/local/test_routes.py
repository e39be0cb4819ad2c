"""Routes that a real controller serves: Traefik leads requests to streamed tokens of a real engine in local mode."""

from __future__ import annotations

import http.client
import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.gobuild import BuildError
from tests.component.local.conftest import running
from tests.component.local.local_mode import LocalMode, ModelServer, Object, condition, model, service, until
from tests.component.local.test_access import tls_secret, trusting
from tests.foreign_kinds import gateway_definitions
from tests.real_engine import VARIABLE, program
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
    """What a person outside of the cluster does: a host name that leads to the controller, and nothing else."""

    def __init__(self, controller: Traefik, host: str, *, trusts: Authority | None = None, key: str = "") -> None:
        self.host = host
        self._port = controller.https if trusts else controller.http
        self._context = trusting(trusts) if trusts else None
        self._key = {"Authorization": f"Bearer {key}"} if key else {}

    def connect(self) -> http.client.HTTPConnection:
        if self._context:
            return http.client.HTTPSConnection("127.0.0.1", self._port, timeout=60, context=self._context)
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)

    def status(self, path: str = "/v1/models") -> int:
        with closing(self.connect()) as connection:
            connection.request("GET", path, headers={"Host": self.host, **self._key})
            return connection.getresponse().status

    def until_routed(self) -> None:
        until(self.status, lambda found: found == 200, seconds=30)

    def ask(self, connection: http.client.HTTPConnection, *, tokens: int) -> http.client.HTTPResponse:
        question = [{"role": "user", "content": "Tell me of the sea."}]
        body: Object = {"messages": question, "stream": True, "max_tokens": tokens}
        headers = {"Host": self.host, "Content-Type": "application/json", **self._key}
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
    return local.until_ready(name)


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
