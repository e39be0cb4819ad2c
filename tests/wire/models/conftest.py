"""A file server that misbehaves as a test says, and the fetch that meets it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from llmkube.models.fetch import fetch
from llmkube.models.policy import SourcePolicy
from llmkube.models.progress import Progress
from llmkube.models.request import Fetched, FetchRequest
from llmkube.models.slots import Slots

MEBIBYTE = 1 << 20


def gguf(size: int = 3 * MEBIBYTE) -> bytes:
    """A GGUF without metadata and tensors, and incompressible bytes after it."""
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + os.urandom(size - 24)


@dataclass
class FileServer:
    """Serves `content` with Range and ETag, but for what the switches say."""

    content: bytes = field(default_factory=gguf)
    etag: str = '"one"'
    ranges: bool = True
    length: bool = True
    cut_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    redirect: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    port: int = 0
    before_body: Callable[[], Awaitable[None]] | None = None
    hold_after: int | None = None
    piece: int = 65536
    pause: float = 0.0
    instead: Callable[[web.Request], Awaitable[web.StreamResponse | None]] | None = None
    busy: int = 0
    busiest: int = 0
    held: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/model.gguf"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append({**request.headers, "path": request.path})
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        if self.redirect:
            return web.Response(status=302, headers={"Location": self.redirect})
        if self.instead and (answer := await self.instead(request)) is not None:
            return answer
        start, end = self._range(request)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            return await self._send(request, start, end)
        finally:
            self.busy -= 1

    def _range(self, request: web.Request) -> tuple[int | None, int]:
        asked = request.headers.get("Range", "")
        if not self.ranges or not asked or request.headers.get("If-Range", self.etag) != self.etag:
            return None, len(self.content)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return int(first), min(int(last) + 1 if last else len(self.content), len(self.content))

    async def _send(self, request: web.Request, start: int | None, end: int) -> web.StreamResponse:
        body = self.content[start or 0 : end]
        headers = {"ETag": self.etag} if self.etag else {}
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(self.content)}"
        if self.length:
            headers["Content-Length"] = str(len(body))
        response = web.StreamResponse(status=200 if start is None else 206, headers=headers)
        await response.prepare(request)
        if len(body) > 1 and self.before_body:
            await self.before_body()
        whole = len(body) == 1 or not self.cut_after
        for at in range(0, len(body) if whole else self.cut_after.pop(0), self.piece):
            if self.hold_after is not None and self.sent >= self.hold_after and len(body) > 1:
                self.held.set()
                await asyncio.Event().wait()  # until the client goes
            piece = body[at : at + self.piece]
            await response.write(piece)
            self.sent += len(piece)
            if self.pause:
                await asyncio.sleep(self.pause)
        if not whole and request.transport is not None:
            request.transport.close()  # what was sent arrives; an abort would throw it away
        return response


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    files = FileServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", files.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    files.port = runner.addresses[0][1]
    yield files
    await runner.cleanup()


Fetch = Callable[..., Awaitable[Fetched]]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def seen() -> list[Progress]:
    return []


@pytest.fixture
def fetched(server: FileServer, cache: Path, seen: list[Progress]) -> Fetch:
    """Run one fetch of the server's file, allowed to ask loopback."""

    async def run(**fields: Any) -> Fetched:
        policy = SourcePolicy(("127.0.0.0/8",))
        given = {"source": server.url, "policy": policy, "cache": cache, "namespace": "team", "name": "tiny"}
        request = FetchRequest(**{**given, **fields})
        async with asyncio.timeout(30):
            return await fetch(request, seen.append)

    return run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small spans, so that a small file has as many of everything as a large one."""
    for name, value in {"SPAN": 256 << 10, "CHUNK": 64 << 10, "CHECKPOINT": 1 << 20, "WINDOW": 3 << 20}.items():
        monkeypatch.setattr(f"llmkube.models.transfer.{name}", value)
    monkeypatch.setattr("llmkube.models.transfer.NOTE_SECONDS", 0.02)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmkube.models.retry.FIRST_DELAY", 0.001)
    monkeypatch.setattr("llmkube.models.cache.POLL_SECONDS", 0.01)


@pytest.fixture
def large(server: FileServer) -> None:
    """A file of several spans."""
    server.content = gguf(6 * MEBIBYTE + 123)


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> list[Slots]:
    """What fetches take their connections from, as it is made."""
    made: list[Slots] = []

    class Seen(Slots):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr("llmkube.models.fetch.Slots", Seen)
    return made
