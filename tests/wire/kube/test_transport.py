"""Requests to API servers that behave badly."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from llmkube import __version__
from llmkube.kube.apply import Applier
from llmkube.kube.client import Client
from llmkube.kube.config import ClusterConfig, StaticToken
from llmkube.kube.errors import AlreadyExists, NotFound, ServerError, TransportError
from llmkube.kube.kinds import MODEL, POD, SERVICE, Key
from llmkube.kube.objects import CustomResource, ObjectMeta
from llmkube.kube.transport import Transport
from llmkube.runtime.clock import SystemClock

BUSY = {"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": "busy"}
MISSING = {"kind": "Status", "code": 404, "reason": "NotFound", "message": 'pods "a" not found'}
TWICE = {"kind": "Status", "code": 409, "reason": "AlreadyExists", "message": 'pods "a" already exists'}


async def test_a_busy_server_is_asked_again_after_what_it_says(client: Client, script: Any, say: Any) -> None:
    busy = say.whole(BUSY, 429, **{"Retry-After": "0"})
    script.answers = [busy, busy, say.whole(say.pod("a", 1))]
    found = await client.get(POD, Key("default", "a"))
    assert (found.metadata.name, len(script.asked)) == ("a", 3)


async def test_a_busy_server_is_not_asked_for_ever(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.whole({**BUSY, "code": 503}, 503, **{"Retry-After": "0"})]
    with pytest.raises(ServerError):
        await client.get(POD, Key("default", "a"))
    assert len(script.asked) == 4


async def test_a_status_object_becomes_the_error_of_its_reason(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.whole(MISSING, 404), say.whole(TWICE, 409)]
    with pytest.raises(NotFound, match='pods "a" not found'):
        await client.get(POD, Key("default", "a"))
    with pytest.raises(AlreadyExists):
        await client.create(POD, say.pod("a", 1))


async def test_a_page_instead_of_an_object_is_one_line_that_shows_it(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.html()]
    with pytest.raises(TransportError, match="expected a Pod, found b'<html>"):
        await client.get(POD, Key("default", "a"))


@pytest.mark.parametrize("said", [{"status": "ok"}, {"kind": "Node", "metadata": {}}])
async def test_a_deletion_is_one_when_the_api_server_says_so(client: Client, script: Any, say: Any, said: Any) -> None:
    script.answers = [say.whole({"kind": "Status", "status": "Success"}), say.whole(say.pod("a", 1)), say.whole(said)]
    assert await client.delete(POD, Key("default", "a"))
    assert await client.delete(POD, Key("default", "a")), "it goes once its finalizers have"
    with pytest.raises(TransportError, match="expected a Status or a Pod, found b'"):
        await client.delete(POD, Key("default", "a"))


@pytest.mark.parametrize(
    "location", ["/elsewhere", "https://sign.in/", f"https://{'a' * 64}.example/", "https://a..b/", ""]
)
async def test_a_redirect_is_told_and_not_followed(client: Client, script: Any, say: Any, location: str) -> None:
    """No API server says that, and our token is for nobody else."""
    script.answers = [say.whole({}, 302, **({"Location": location} if location else {}))]
    for method in ("POST", "DELETE"):
        with pytest.raises(TransportError, match=r"answered (POST|DELETE) /a with a redirect to .*; give the address"):
            await client.transport.request(method, "/a", body=b"{}")
    with pytest.raises(TransportError, match=r"answered GET /a with a redirect"):
        async with client.transport.stream("/a", idle_timeout=5):
            pass


async def test_what_goes_wrong_with_the_reader_of_a_stream_is_not_the_servers(
    client: Client, script: Any, say: Any
) -> None:
    """`llmkube logs -f | head` closes the pipe: click ends that, quietly."""
    script.answers = [say.lines(b"one\n", hold=True)]

    async def read() -> None:
        async with client.transport.stream("/log", idle_timeout=5) as lines:
            async for _ in lines:
                raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        await read()


async def test_an_error_that_comes_in_pieces_is_read_whole(client: Client, script: Any, say: Any) -> None:
    async def pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=404)
        await response.prepare(request)
        for at in range(0, len(said := json.dumps(MISSING).encode()), 20):
            await response.write(said[at : at + 20])
            await asyncio.sleep(0)
        return response

    script.answers = [pieces]
    with pytest.raises(NotFound, match='pods "a" not found'):
        async with client.transport.stream("/api/v1/pods", idle_timeout=5):
            pass


async def test_deleting_what_is_gone_is_no_error(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.whole(MISSING, 404)]
    assert await client.delete(POD, Key("default", "a")) is False


async def test_a_server_that_is_not_there_is_one_line_with_its_address() -> None:
    async with Transport(ClusterConfig("http://127.0.0.1:1", "default", StaticToken())) as transport:
        with pytest.raises(TransportError, match=r"http://127.0.0.1:1 did not answer GET /version: .*"):
            await transport.request("GET", "/version")


async def test_every_request_and_every_watch_says_who_asks_and_shows_its_token(
    client: Client, script: Any, say: Any
) -> None:
    said: list[tuple[str | None, str | None]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        said.append((request.headers.get("User-Agent"), request.headers.get("Authorization")))
        return await say.whole(say.pod("a", 1))(request)

    script.answers = [answer]
    await client.get(POD, Key("default", "a"))
    async with client.transport.stream("/api/v1/pods", idle_timeout=5) as lines:
        assert [each async for each in lines]
    assert said == [(f"llmkube/{__version__}", "Bearer secret")] * 2


async def test_an_answer_that_never_comes_is_given_up(client: Client, script: Any) -> None:
    async def silent(_: web.Request) -> web.Response:
        return await asyncio.Event().wait()  # type: ignore[return-value]

    script.answers = [silent]
    with pytest.raises(TransportError, match="did not answer POST /api/v1/pods"):
        await client.transport.request("POST", "/api/v1/pods", timeout=0.05)
    with pytest.raises(TransportError, match="did not answer GET /api/v1/pods"):
        async with client.transport.stream("/api/v1/pods", idle_timeout=0.05):
            pass


@dataclass
class Written:
    """What a write was."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: Any


async def test_an_apply_is_the_whole_intent_of_one_manager_and_a_status_goes_to_its_own_resource(
    client: Client, script: Any, say: Any
) -> None:
    seen: list[Written] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(
            Written(request.method, request.path, dict(request.query), request.content_type, await request.json())
        )
        kind = "Model" if "models" in request.path else "Service"
        return await say.whole({**say.pod("a", 7), "kind": kind})(request)

    script.answers = [answer]
    applier = Applier(client, "llmkube-model", SystemClock())
    live = CustomResource(metadata=ObjectMeta(name="m", namespace="team", uid="u"))
    await applier.apply(SERVICE, {"metadata": {"namespace": "team", "name": "m"}, "spec": {"ports": []}}, None)
    await applier.apply_status(MODEL, Key("team", "m"), {"phase": "Ready"}, live)
    applied, told = seen
    who = {"fieldManager": "llmkube-model", "force": "true"}
    for each in seen:
        assert (each.method, each.content_type, each.query) == ("PATCH", "application/apply-patch+yaml", who)
    assert applied.path == "/api/v1/namespaces/team/services/m"
    assert (applied.body["apiVersion"], applied.body["kind"], applied.body["spec"]) == ("v1", "Service", {"ports": []})
    assert set(applied.body) == {"apiVersion", "kind", "metadata", "spec"}
    assert told.path == "/apis/inference.llmkube.dev/v1alpha1/namespaces/team/models/m/status"
    assert told.body["metadata"] == {"namespace": "team", "name": "m", "uid": "u"}
    assert set(told.body) == {"apiVersion", "kind", "metadata", "status"}
