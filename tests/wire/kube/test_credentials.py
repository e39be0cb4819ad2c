"""Credentials and certificates that change while we run."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from tests.wire.kube.conftest import Script, end_of_initial, lines
from tests.wire.models.web_servers import Authority

from llmkube.kube.config import ClusterConfig, TokenFile, from_kubeconfig, in_cluster
from llmkube.kube.errors import KubeError, TransportError, Unauthorized
from llmkube.kube.transport import Transport
from llmkube.kube.trust import TrustError
from llmkube.local.apiserver.tls import Certificates, certificates

Handler = Callable[[web.Request], Awaitable[web.Response]]
UNAUTHORIZED = {"kind": "Status", "code": 401, "reason": "Unauthorized", "message": "Unauthorized"}


class Expiring:
    """A plugin whose token has expired until it is asked for a new one."""

    def __init__(self) -> None:
        self.refreshed = 0

    async def headers(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        self.refreshed += refused is not None
        return {"Authorization": f"Bearer {'new' if self.refreshed else 'old'}"}


@pytest.fixture
async def address(script: Script) -> AsyncIterator[str]:
    """An API server that knows only the new token."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] != "Bearer new":
            return web.json_response(UNAUTHORIZED, status=401)
        return await script.handle(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield site.name
    await runner.cleanup()


async def test_a_request_with_an_expired_token_is_sent_again_with_a_new_one(
    script: Script, address: str, say: Any
) -> None:
    script.answers = [say.whole({"kind": "Pod"})]
    credentials = Expiring()
    async with Transport(ClusterConfig(address, "default", credentials)) as transport:
        await transport.request("GET", "/api/v1/pods")
        await transport.request("GET", "/api/v1/pods")
    assert credentials.refreshed == 1


async def test_a_watch_with_an_expired_token_is_asked_for_again_with_a_new_one(script: Script, address: str) -> None:
    script.answers = [lines(end_of_initial(5))]
    credentials = Expiring()
    async with (
        Transport(ClusterConfig(address, "default", credentials)) as transport,
        transport.stream("/api/v1/pods", idle_timeout=5) as found,
    ):
        assert [each async for each in found] == [end_of_initial(5).strip()]
    assert credentials.refreshed == 1


async def test_who_is_refused_also_with_new_credentials_is_told_so(address: str) -> None:
    class Unknown(Expiring):
        async def headers(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
            self.refreshed += refused is not None
            return {"Authorization": "Bearer nobody"}

    credentials = Unknown()
    async with Transport(ClusterConfig(address, "default", credentials)) as transport:
        with pytest.raises(Unauthorized):
            await transport.request("GET", "/api/v1/pods")
        with pytest.raises(Unauthorized):
            async with transport.stream("/api/v1/pods", idle_timeout=5):
                pass
    assert credentials.refreshed == 2


@pytest.fixture
def plugin(tmp_path: Path, address: str) -> Path:
    """A kubeconfig whose exec plugin gives what stands in the file `token`, and notes that it ran in `runs`."""
    said = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": %s}'
    script = f"echo >> {tmp_path}/runs; printf '{said}' \"$(cat {tmp_path}/token)\""
    user = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script]}
    path = kubeconfig(tmp_path, address.rpartition(":")[2], scheme="http", exec=user)
    (tmp_path / "token").write_text('{"token": "old"}')
    return path


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines())


async def test_a_plugin_is_run_again_once_for_all_who_were_refused(
    script: Script, plugin: Path, tmp_path: Path, say: Any
) -> None:
    script.answers = [say.whole({"kind": "Pod"})]
    async with Transport(from_kubeconfig(plugin)) as transport:
        with pytest.raises(Unauthorized):
            await transport.request("GET", "/api/v1/pods")
        assert runs(tmp_path) == 2, "once, and once more after the refusal"
        (tmp_path / "token").write_text('{"token": "new"}')
        await asyncio.gather(*(transport.request("GET", "/api/v1/pods") for _ in range(5)))
        await transport.request("GET", "/api/v1/pods")
    assert runs(tmp_path) == 3


class Renewing:
    """An API server to which the first token has expired: it refuses one request with it, and after that the others."""

    def __init__(self, requests: int) -> None:
        self._arrived = asyncio.Barrier(requests)
        self._renewed = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != "Bearer 1":
            self._renewed.set()
            return web.json_response({"kind": "Pod"})
        if await self._arrived.wait() > 0:
            await self._renewed.wait()
        return web.json_response(UNAUTHORIZED, status=401)


async def test_who_is_refused_after_another_was_given_a_new_token_is_sent_again_with_that_one(tmp_path: Path) -> None:
    said = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "%s"}}'
    script = f"echo >> {tmp_path}/runs; printf '{said}' $(wc -l < {tmp_path}/runs)"
    user = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script]}
    server = TlsServer(tmp_path, Renewing(8).handle)
    port = await server.listen(None)
    try:
        async with Transport(from_kubeconfig(kubeconfig(tmp_path, port, scheme="http", exec=user))) as transport:
            await asyncio.gather(*(transport.request("GET", "/api/v1/pods") for _ in range(8)))
    finally:
        await server.runner.cleanup()
    assert runs(tmp_path) == 2


async def test_who_acts_as_somebody_says_so_with_every_request(tmp_path: Path) -> None:
    heard: list[tuple[str, ...]] = []

    async def handle(request: web.Request) -> web.Response:
        names = ("Authorization", "Impersonate-User", "Impersonate-Extra-Acme.com%2Fx")
        heard.append(tuple(request.headers[name] for name in names))
        return web.json_response({})

    server = TlsServer(tmp_path, handle)
    port = await server.listen(None)
    user = {"token": "t0ken\n", "as": "jane", "as-user-extra": {"acme.com/x": ["y"]}}
    try:
        async with Transport(from_kubeconfig(kubeconfig(tmp_path, port, scheme="http", **user))) as transport:
            await transport.request("GET", "/api/v1/pods")
            async with transport.stream("/api/v1/pods", idle_timeout=5):
                pass
    finally:
        await server.runner.cleanup()
    assert heard == [("Bearer t0ken", "jane", "y")] * 2


async def test_a_client_certificate_of_a_plugin_is_shown_to_the_server(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server()
    pem = (tmp_path / "server-127.0.0.1.pem").read_text()
    context.load_verify_locations(authority.bundle)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_mode = ssl.CERT_REQUIRED
    version = "client.authentication.k8s.io/v1"
    status = {"clientCertificateData": pem, "clientKeyData": pem}
    (tmp_path / "said").write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))
    server = TlsServer(tmp_path)
    port = await server.listen(Certificates(authority.bundle.read_text(), context))
    try:
        async with Transport(from_kubeconfig(kubeconfig(tmp_path, port))) as transport:
            with pytest.raises(TransportError):
                await transport.request("GET", "/api/v1/pods/a")
        user = {"apiVersion": version, "command": "cat", "args": [str(tmp_path / "said")]}
        async with Transport(from_kubeconfig(kubeconfig(tmp_path, port, exec=user))) as transport:
            assert b"Pod" in await transport.request("GET", "/api/v1/pods/a")
    finally:
        await server.runner.cleanup()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("nothing", "its credential plugin sh gave no ExecCredential: JSON is malformed"),
        ("null", "its credential plugin sh gave no ExecCredential with a status"),
        ('{"x": 1}', "its credential plugin sh gave no token"),
    ],
)
async def test_a_plugin_that_fails_is_one_line_with_the_kubeconfig_and_no_end_of_a_watch(
    plugin: Path, tmp_path: Path, said: str, why: str
) -> None:
    (tmp_path / "token").write_text(said)
    async with Transport(from_kubeconfig(plugin)) as transport:
        with pytest.raises(KubeError, match=rf"kubeconfig \(context c\): {why}"):
            async with transport.stream("/api/v1/pods", idle_timeout=5):
                pass


async def test_a_plugin_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Expiring):
        async def headers(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
            return await asyncio.Event().wait()  # type: ignore[return-value]

    monkeypatch.setattr("llmkube.kube.transport.CREDENTIALS_TIMEOUT", 0.01)
    async with Transport(ClusterConfig("http://127.0.0.1:1", "default", Hanging(), origin="here")) as transport:
        with pytest.raises(TransportError, match="here: no credentials within"):
            async with transport.stream("/api/v1/pods", idle_timeout=5):
                pass


async def test_a_projected_token_is_read_again_for_every_request(
    script: Script, address: str, tmp_path: Path, say: Any
) -> None:
    script.answers = [say.whole({"kind": "Pod"})]
    file = tmp_path / "token"
    file.write_text("old\n")
    async with Transport(ClusterConfig(address, "default", TokenFile(file))) as transport:
        with pytest.raises(Unauthorized):
            await transport.request("GET", "/api/v1/pods")
        file.write_text("new\n")
        await transport.request("GET", "/api/v1/pods")
        file.unlink()
        with pytest.raises(KubeError, match="mount a service account token"):
            await transport.request("GET", "/api/v1/pods")


class TlsServer:
    """An API server whose authority can be made anew."""

    def __init__(self, folder: Path, handle: Handler | None = None) -> None:
        self.folder = folder
        self.runner: web.AppRunner
        self._handle = handle or self._answer

    async def start(self, name: str, port: int = 0) -> str:
        """Listen with the certificates of one folder; return the port."""
        return await self.listen(certificates(self.folder / name), port)

    async def listen(self, found: Certificates | None, port: int = 0) -> str:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", port, ssl_context=found.context if found else None).start()
        if found is not None:
            (self.folder / "ca.crt").write_text(found.ca_pem)
        return str(self.runner.addresses[0][1])

    async def _answer(self, _: web.Request) -> web.Response:
        return web.json_response({"kind": "Pod"})


def kubeconfig(folder: Path, port: str, *, scheme: str = "https", **user: Any) -> Path:
    cluster = {"server": f"{scheme}://127.0.0.1:{port}", "certificate-authority": "ca.crt"}
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.usefixtures("strict")
async def test_an_authority_without_key_identifiers_is_trusted_as_kubectl_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, authority = TlsServer(tmp_path), Authority(tmp_path)
    port = await server.listen(Certificates(authority.bundle.read_text(), authority.server()))
    (tmp_path / "namespace").write_text("here")
    (tmp_path / "token").write_text("a token")
    monkeypatch.setattr("llmkube.kube.config.SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    try:
        for config in (from_kubeconfig(kubeconfig(tmp_path, port)), in_cluster()):
            async with Transport(config) as transport:
                assert b"Pod" in await transport.request("GET", "/api/v1/pods/a")
    finally:
        await server.runner.cleanup()


@pytest.mark.usefixtures("strict")
async def test_the_embedded_servers_certificates_satisfy_the_strictest_clients(tmp_path: Path) -> None:
    server = TlsServer(tmp_path)
    port = await server.start("embedded")
    context = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    assert context.verify_flags & ssl.VERIFY_X509_STRICT
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://127.0.0.1:{port}/api", ssl=context) as response,
        ):
            assert response.status == 200
    finally:
        await server.runner.cleanup()


async def test_an_authority_that_was_made_anew_is_trusted_as_soon_as_its_file_says_so(tmp_path: Path) -> None:
    server = TlsServer(tmp_path)
    port = await server.start("first")
    async with Transport(from_kubeconfig(kubeconfig(tmp_path, port))) as transport:
        await transport.request("GET", "/api/v1/pods/a")
        await server.runner.cleanup()
        before = (tmp_path / "ca.crt").read_bytes()
        await server.start("second", int(port))
        after = (tmp_path / "ca.crt").read_bytes()
        _replace(tmp_path / "ca.crt", before, age=2)
        with pytest.raises(TransportError, match="certificate"):
            await transport.request("GET", "/api/v1/pods/a")
        _replace(tmp_path / "ca.crt", after[: len(after) // 2], age=1)
        with pytest.raises(TransportError, match="certificate"):
            await transport.request("GET", "/api/v1/pods/a")
        _replace(tmp_path / "ca.crt", after, age=0)
        await transport.request("GET", "/api/v1/pods/a")
    await server.runner.cleanup()


def _replace(path: Path, content: bytes, *, age: int) -> None:
    """As the kubelet does, with a modification time that differs for certain."""
    path.write_bytes(content)
    now = 1_700_000_000 - age
    os.utime(path, (now, now))


def test_a_client_certificate_that_was_made_anew_is_shown_as_soon_as_both_its_files_are(tmp_path: Path) -> None:
    certificates(tmp_path)
    pair = {"client-certificate": "server.crt", "client-key": "server.key"}
    trust = from_kubeconfig(kubeconfig(tmp_path, "1", **pair)).tls
    assert trust is not None
    before = trust.context()
    certificates(tmp_path / "new")
    _replace(tmp_path / "server.crt", (tmp_path / "new" / "server.crt").read_bytes(), age=1)
    assert trust.context() is before, "its key is not there yet"
    _replace(tmp_path / "server.key", (tmp_path / "new" / "server.key").read_bytes(), age=0)
    after = trust.context()
    assert after is not before
    assert trust.context() is after


def test_certificates_that_cannot_be_read_are_one_line_with_the_kubeconfig(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "1")
    with pytest.raises(TrustError, match="kubeconfig: its certificates cannot be read"):
        from_kubeconfig(path)
    (tmp_path / "ca.crt").write_text("no certificate")
    with pytest.raises(TrustError, match="kubeconfig: its certificates cannot be read"):
        from_kubeconfig(path)
