"""An API server that says what a test tells it to say, request by request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from tests.wire.kube.lease_server import clock, elector, kept

from llmkube.kube.client import Client
from llmkube.kube.config import ClusterConfig, StaticToken
from llmkube.kube.transport import Transport

__all__ = ["clock", "elector", "kept"]
Answer = Callable[[web.Request], Any]


@dataclass
class Script:
    """Answers in order; the last one is given for ever. `asked` holds the query of every request."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


def pod(name: str, version: int, uid: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": uid or name, "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


def event(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def end_of_initial(version: int) -> bytes:
    metadata = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
    return event("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": metadata})


def expired() -> bytes:
    return event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})


def lines(*content: bytes, hold: bool = False) -> Answer:
    """A watch that says this and then ends, or stays open."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for one in content:
            await response.write(one)
        if hold:
            await asyncio.sleep(3600)
        return response

    return answer


def whole(content: object, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(content, status=status, headers=headers)

    return answer


def healed(version: int) -> Answer:
    """An API server that works: an empty list, or a watch of nothing, whichever is asked for."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            return await lines(end_of_initial(version), hold=True)(request)
        return await whole({"metadata": {"resourceVersion": str(version)}, "items": []})(request)

    return answer


def html() -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="<html>Sign in</html>", content_type="text/html")

    return answer


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def client(script: Script) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    config = ClusterConfig(site.name, "default", StaticToken("secret"))
    try:
        async with Transport(config) as transport:
            yield Client(transport)
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off is tested by its own numbers."""
    monkeypatch.setattr("llmkube.kube.backoff.FIRST", 0.001)
    monkeypatch.setattr("llmkube.kube.backoff.LONGEST", 0.01)


@pytest.fixture
def say() -> Any:
    """The vocabulary of a script."""

    class Say:
        pod = staticmethod(pod)
        event = staticmethod(event)
        end_of_initial = staticmethod(end_of_initial)
        expired = staticmethod(expired)
        lines = staticmethod(lines)
        whole = staticmethod(whole)
        healed = staticmethod(healed)
        html = staticmethod(html)

    return Say
