"""A server that keeps a lease, a clock that a test moves, and work that ends when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from llmkube.kube.client import Client
from llmkube.kube.lease import LeaderElector, Timing

TIMING = Timing(duration=15, renew_deadline=10, retry=0.001)
LONG_AGO = "1970-01-01T00:00:00.000000Z"
Hook = Callable[[web.Request], Awaitable[web.Response | None]]


class Hands:
    """A clock that moves when a test says so; its time of day is of no use to anybody."""

    at = 1000.0

    def monotonic(self) -> float:
        return self.at

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


def refusal(code: int, reason: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "reason": reason, "message": reason}, status=code)


class Kept:
    """A server that keeps one lease, at first nobody's; `before` may answer in its place, or change what it keeps."""

    def __init__(self) -> None:
        self.spec: dict[str, Any] | None = {}
        self.version = 0
        self.said: list[tuple[str, str | None]] = []
        self.before: Hook | None = None

    def put(self, spec: dict[str, Any] | None) -> None:
        self.spec, self.version = spec, self.version + 1

    @property
    def holder(self) -> str | None:
        return self.spec.get("holderIdentity") if self.spec else None

    def count(self, method: str) -> int:
        return sum(each == method for each, _ in self.said)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {"spec": {}}
        self.said.append((request.method, body["spec"].get("holderIdentity")))
        if self.before and (instead := await self.before(request)):
            return instead
        return self._keep(request.method, body)

    def _keep(self, method: str, body: dict[str, Any]) -> web.Response:
        if self.spec is None and method != "POST":
            return refusal(404, "NotFound")
        if method == "POST" and self.spec is not None:
            return refusal(409, "AlreadyExists")
        if method == "PUT" and body["metadata"]["resourceVersion"] != str(self.version):
            return refusal(409, "Conflict")
        if method != "GET":
            self.put(body["spec"])
        metadata = {"namespace": "default", "name": "one", "resourceVersion": str(self.version)}
        return web.json_response({"kind": "Lease", "metadata": metadata, "spec": self.spec})


class Worker:
    """What leads: it works until it is told to end, or is stopped."""

    def __init__(self) -> None:
        self.began, self.end = asyncio.Event(), asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> None:
        self.began.set()
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def kept(script: Any) -> Kept:
    made = Kept()
    script.answers = [made.answer]
    return made


@pytest.fixture
def elector(client: Client, clock: Hands) -> LeaderElector:
    return LeaderElector(client, namespace="default", name="one", identity="me", clock=clock, timing=TIMING)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


async def some_tries(kept: Kept) -> None:
    """Wait until it has looked again, and has made up its mind about what it saw."""
    before = kept.count("GET")
    await until(lambda: kept.count("GET") >= before + 3)


async def some_hang(kept: Kept) -> None:
    before = len(kept.said)
    await until(lambda: len(kept.said) > before)


async def led(elector: LeaderElector) -> tuple[asyncio.Task[None], Worker]:
    """It leads, and works."""
    work = Worker()
    task = asyncio.create_task(elector.run(work))
    async with asyncio.timeout(10):
        await work.began.wait()
    return task, work


def of(holder: str, **other: Any) -> dict[str, Any]:
    """A lease that changed hands four times."""
    times = {"acquireTime": LONG_AGO, "renewTime": LONG_AGO}
    return {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 4, **times, **other}


@asynccontextmanager
async def standing_by(elector: LeaderElector) -> AsyncIterator[Worker]:
    """It waits for the lease, for as long as it takes."""
    work = Worker()
    task = asyncio.create_task(elector.run(work))
    try:
        yield work
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})
