"""Writes that are under way when the lease may run out: what bounds them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.wire.kube.conftest import Script

from llmkube.kube.client import Client
from llmkube.kube.config import ClusterConfig, StaticToken
from llmkube.kube.connection import UNACKNOWLEDGED
from llmkube.kube.errors import FencedError, TransportError
from llmkube.kube.kinds import POD, Key
from llmkube.kube.transport import IN_FLIGHT, Transport

LARGE = b'"' + b"x" * 900_000 + b'"'


@pytest.fixture
async def stuck() -> AsyncIterator[socket.socket]:
    """A server that accepts and reads nothing: what is sent to it stays in buffers."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        yield listening


def everything(connection: socket.socket) -> tuple[int, bool]:
    """How many bytes come in the end, and whether the connection was reset."""
    connection.settimeout(10)
    count = 0
    try:
        while piece := connection.recv(1 << 20):
            count += len(piece)
    except ConnectionResetError:
        return count, True
    return count, False


@pytest.fixture
async def to_stuck(stuck: socket.socket) -> AsyncIterator[Transport]:
    config = ClusterConfig(f"http://127.0.0.1:{stuck.getsockname()[1]}", "default", StaticToken())
    async with Transport(config) as transport:
        yield transport


async def arrived(stuck: socket.socket, writing: asyncio.Task[Any]) -> tuple[int, bool]:
    """What a server gets that begins to read when the writer has given up."""
    connection, _ = await asyncio.get_running_loop().sock_accept(stuck)
    await asyncio.wait({writing})
    with connection:
        return await asyncio.to_thread(everything, connection)


async def test_a_write_that_is_given_up_does_not_arrive_later(stuck: socket.socket, to_stuck: Transport) -> None:
    to_stuck.fence = lambda: 0.2
    writing = asyncio.create_task(to_stuck.request("POST", "/a", body=LARGE))
    count, was_reset = await arrived(stuck, writing)
    assert was_reset
    assert count < len(LARGE)
    assert isinstance(writing.exception(), TransportError)


async def test_a_write_that_is_cancelled_does_not_arrive_later(stuck: socket.socket, to_stuck: Transport) -> None:
    writing = asyncio.create_task(to_stuck.request("POST", "/a", body=LARGE))
    asyncio.get_running_loop().call_later(0.2, writing.cancel)
    count, was_reset = await arrived(stuck, writing)
    assert was_reset
    assert count < len(LARGE)


async def test_a_write_that_nobody_takes_is_thrown_away_also_when_its_process_does_nothing(
    stuck: socket.socket, to_stuck: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UNACKNOWLEDGED, "TCP_USER_TIMEOUT", 300)
    to_stuck.fence = lambda: 3600.0
    writing = asyncio.create_task(to_stuck.request("POST", "/a", body=LARGE))
    async with asyncio.timeout(10):
        count, _ = await arrived(stuck, writing)
    assert count < len(LARGE)


async def test_a_write_that_waits_its_turn_is_not_sent_when_the_lease_has_run_out_by_then(
    client: Client, script: Script, say: Any
) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        if len(script.asked) == IN_FLIGHT:
            asked.set()
        await go.wait()
        return await say.whole(say.pod("a", 1))(request)

    script.answers = [held]
    reads = [asyncio.create_task(client.get(POD, Key("default", "a"))) for _ in range(IN_FLIGHT)]
    await asked.wait()
    client.transport.fence = lambda: 0.0 if go.is_set() else 10.0
    writing = asyncio.create_task(client.transport.request("PATCH", "/a", body=b"{}"))
    await asyncio.sleep(0)  # it runs until it has to wait
    go.set()
    with pytest.raises(FencedError):
        await writing
    await asyncio.gather(*reads)
    assert len(script.asked) == IN_FLIGHT


async def test_a_write_is_not_sent_again_when_the_lease_has_run_out(client: Client, script: Script) -> None:
    left = [10.0]
    client.transport.fence = lambda: left[0]

    async def busy(_: web.Request) -> web.Response:
        left[0] = 0.0
        status = {"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": "slow down"}
        return web.json_response(status, status=429, headers={"Retry-After": "0"})

    script.answers = [busy]
    with pytest.raises(FencedError):
        await client.transport.request("PATCH", "/a", body=b"{}")
    assert len(script.asked) == 1


async def test_reading_needs_no_lease(client: Client, script: Script, say: Any) -> None:
    client.transport.fence = lambda: 0.0
    script.answers = [say.whole(say.pod("a", 1))]
    assert (await client.get(POD, Key("default", "a"))).metadata.name == "a"
