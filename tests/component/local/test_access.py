"""Who reaches a service, and how: TLS with a certificate that changes, API keys, node ports. A real engine answers."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.component.local.file_servers import ModelServer
from tests.component.local.local_mode import LocalMode, Object, answer, condition, model, service, until
from tests.real_engine import MISSING, program
from tests.wire.models.web_servers import Authority

from llmkube.kube import trust

KEY = "sk-one"
pytestmark = pytest.mark.timeout(400)


def tls_secret(authority: Authority, folder: Path, address: str) -> Object:
    """A Secret with a certificate of this authority, for this address."""
    authority.server(address)
    key, end, certificate = (folder / f"server-{address}.pem").read_text().partition("-----END PRIVATE KEY-----\n")
    return secret("cert", {"tls.crt": certificate, "tls.key": key + end}, kind="kubernetes.io/tls")


def secret(name: str, data: dict[str, str], *, kind: str = "Opaque") -> Object:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": encoded}


def trusting(authority: Authority) -> ssl.SSLContext:
    """Whatever address the certificate names: it has to be of this authority."""
    context = trust.trusting(cafile=authority.bundle)
    context.check_hostname = False
    return context


class Asking:
    """Short requests one after the other, until it is left; `failed` is what went wrong."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self.url, self.context = url, context
        self.answered, self.failed = 0, list[str]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        body = json.dumps({"prompt": "A", "n_predict": 2}).encode()
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        while not self._over.is_set():
            request = urllib.request.Request(self.url.partition("/v1")[0] + "/completion", body, headers)
            try:
                with urllib.request.urlopen(request, context=self.context, timeout=30) as response:
                    response.read()
                    self.answered += 1
            except OSError as error:
                self.failed.append(str(error))


@pytest.fixture(scope="module")
def local(real_local: LocalMode) -> LocalMode:
    return real_local


def test_an_engine_with_tls_and_keys_is_ready_asked_and_given_another_certificate(
    local: LocalMode, models: ModelServer, tmp_path: Path
) -> None:
    if not program("llama-server"):
        pytest.skip(f"NO llama-server: {MISSING}; xllamacpp is built without SSL, so TLS is NOT tested")
    authority = Authority(tmp_path)
    first, second = (tls_secret(authority, tmp_path, address) for address in ("127.0.0.1", "127.0.0.2"))
    local.apply(
        first, secret("keys", {"api-keys": f"# ours\n{KEY}\nsk-two\n"}), model("safe", models.url("smollm2.gguf"))
    )
    endpoint = {"tls": {"secretRef": {"name": "cert"}}}
    local.apply(service("safe", "safe", endpoint=endpoint, auth={"secretRef": {"name": "keys"}}))
    url = local.until_ready("safe")["status"]["endpoint"]
    assert url.startswith("https://")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url.replace("/chat/completions", "/models") + "x", context=trusting(authority))
    assert local.llmkube("chat", "safe", "Say hello.", "--max-tokens", "8").stdout.strip()
    (before,) = local.pods("safe")
    with Asking(url, trusting(authority)) as asking:
        local.apply(second)
        until(lambda: [each["metadata"]["uid"] for each in local.pods("safe")], is_another(before), seconds=150)
        local.until_ready("safe")
        until(lambda: asking.answered, lambda count: count > 20)
    assert addressed(url, trusting(authority)) == ["127.0.0.2"]
    assert asking.failed == []


def addressed(url: str, context: ssl.SSLContext) -> list[str]:
    """The addresses that the certificate names which is served."""
    host, _, port = url.removeprefix("https://").partition("/")[0].partition(":")
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain) as secured:
        found = secured.getpeercert()
    return [value for kind, value in (found or {}).get("subjectAltName", ()) if kind == "IP Address"]


def is_another(pod: Object) -> Callable[[list[str]], bool]:
    return lambda found: len(found) == 1 and found[0] != pod["metadata"]["uid"]


def test_a_certificate_that_cannot_be_used_makes_no_pods_and_says_so(
    local: LocalMode, models: ModelServer, tmp_path: Path
) -> None:
    local.apply(secret("broken", {"tls.crt": "none", "tls.key": "none"}), model("plain", models.url("smollm2.gguf")))
    local.apply(service("broken", "plain", endpoint={"tls": {"secretRef": {"name": "broken"}}}))
    found = until(
        lambda: local.service("broken")["status"],
        lambda it: condition(it, "Available").get("reason") == "CertificateUnusable",
    )
    assert "tls.crt" in condition(found, "Available")["message"]
    assert local.pods("broken") == []
    local.delete("apis/inference.llmkube.dev/v1alpha1/namespaces/default/inferenceservices", "broken")


def test_a_node_port_leads_to_the_engine_on_loopback(local: LocalMode, models: ModelServer) -> None:
    local.apply(model("plain", models.url("smollm2.gguf")), service("node", "plain", endpoint={"type": "NodePort"}))
    local.until_ready("node")
    (port,) = local.get("api/v1/namespaces/default/services/node")["spec"]["ports"]
    assert 30000 <= port["nodePort"] <= 32767
    assert answer(f"http://127.0.0.1:{port['nodePort']}/v1/chat/completions")
