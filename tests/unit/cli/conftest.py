"""What the CLI's tests share: a runner in a world without a cluster, and objects as an API server would return them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from llmkube.cli.main import main
from llmkube.cli.view import View, view_of
from llmkube.kube.objects import CustomResource

Invoke = Callable[..., Result]
MakeView = Callable[..., View]


@pytest.fixture(autouse=True)
def _no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own clusters out of the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("LLMKUBE_HOME", raising=False)


@pytest.fixture
def invoke() -> Invoke:
    """Run `llmkube ARGUMENTS` in this process."""

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, list(arguments), input=stdin)

    return run


@pytest.fixture
def seen() -> MakeView:
    """Make the view of an object from its kind and status, as it would come off the wire."""

    def make(kind: str, status: dict[str, Any] | None = None, *, generation: int = 1, **spec: Any) -> View:
        told = {"observedGeneration": generation, **status} if status else {}
        manifest = {
            "metadata": {"name": "smollm2", "namespace": "default", "generation": generation},
            "spec": spec,
            "status": told,
        }
        obj = msgspec.json.decode(msgspec.json.encode(manifest), type=CustomResource)
        return view_of(obj, kind=kind)

    return make


class FakeCluster:
    """Just enough of an API server for the CLI's requests: objects by path, server-side apply without ownership."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.streams: dict[str, bytes] = {}
        self.patched: Callable[[dict[str, Any]], None] = lambda obj: None
        self.refused: tuple[int, str, str] | None = None
        self._version = 0

    def application(self) -> web.Application:
        """Return what serves it."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> Any:
        self.requests.append((request.method, request.path, dict(request.query)))
        if request.path in self.streams:
            return web.Response(body=self.streams[request.path])
        if (request.path.count("/") == 3 and request.path.startswith("/apis/")) or request.path == "/api/v1":
            return web.json_response({"resources": RESOURCES.get(request.path, [])})
        if self.refused and request.method == "PATCH":
            code, reason, message = self.refused
            return web.json_response({"code": code, "reason": reason, "message": message}, status=code)
        return await getattr(self, f"_{request.method.lower()}")(request)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            return await self._watch(request)
        if request.path in self.objects:
            return web.json_response(self.objects[request.path])
        if request.path.rpartition("/")[2] in PLURALS:
            items = self._items(request.path)
            return web.json_response({"kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})
        name = request.path.rpartition("/")[2]
        return _status(404, "NotFound", f'"{name}" not found')

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        done = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
        events = [{"type": "ADDED", "object": item} for item in self._items(request.path)]
        for event in (*events, {"type": "BOOKMARK", "object": {"metadata": done}}):
            await response.write(json.dumps(event).encode() + b"\n")
        await asyncio.sleep(30)
        return response

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        sent = await request.json()
        old = self.objects.get(request.path, {})
        kept = {"generation": 1, "resourceVersion": "7", **old.get("metadata", {})}
        new = {**old, **sent, "metadata": {**kept, **sent.get("metadata", {})}}
        if not request.query.get("dryRun"):
            self.objects[request.path] = new
            self.patched(new)
        return web.json_response(new)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        if self.objects.pop(request.path, None) is None:
            return _status(404, "NotFound", "not found")
        return web.json_response({"kind": "Status", "status": "Success"})

    def _items(self, path: str) -> list[dict[str, Any]]:
        return [obj for where, obj in self.objects.items() if where.rpartition("/")[0] == path]


def _status(code: int, reason: str, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "reason": reason, "message": message}, status=code)


PLURALS = {"models", "inferenceservices", "services", "pods", "events", "deployments", "persistentvolumeclaims"}
RESOURCES: dict[str, list[dict[str, Any]]] = {
    "/api/v1": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}],
    "/apis/inference.llmkube.dev/v1alpha1": [
        {"name": "models", "kind": "Model", "namespaced": True},
        {"name": "models/status", "kind": "Model", "namespaced": True},
        {"name": "inferenceservices", "kind": "InferenceService", "namespaced": True},
    ],
}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster that the commands find in $KUBECONFIG, served by a loop and a thread of its own."""
    fake, loop = FakeCluster(), asyncio.new_event_loop()
    runner = web.AppRunner(fake.application(), shutdown_timeout=0.1)
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", 0)
    loop.run_until_complete(site.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    address = runner.addresses[0]
    monkeypatch.setenv("KUBECONFIG", str(_kubeconfig(tmp_path / "config", f"http://127.0.0.1:{address[1]}")))
    yield fake
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _kubeconfig(path: Path, server: str) -> Path:
    content = {
        "current-context": "fake",
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "namespace": "team"}}],
        "clusters": [{"name": "fake", "cluster": {"server": server}}],
    }
    path.write_text(json.dumps(content))
    return path
