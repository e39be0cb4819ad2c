"""Servers of files on loopback for tests, each in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from aiohttp import web


class ThreadedServer(ABC):
    """Serves from `with` on; its threads and ports are gone afterwards."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @abstractmethod
    async def _get(self, request: web.Request) -> web.StreamResponse: ...

    @abstractmethod
    async def _listen(self, runner: web.AppRunner) -> None: ...

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/{name}", self._get)
        runner = web.AppRunner(app)
        await runner.setup()
        await self._listen(runner)
        self._started.set()
        return runner

    def _serve(self) -> None:
        runner = self._loop.run_until_complete(self._start())
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()


class ModelServer(ThreadedServer):
    """A file server with Range; counts what it was asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.requests: list[tuple[str, str | None]] = []
        self.port = 0
        self._answers: list[tuple[str, web.FileResponse]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def sent(self, name: str) -> int:
        """Return the bytes of a file that have been sent, or are being sent."""
        return sum(answer.content_length or 0 for file, answer in self._answers if file == name)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.headers.get("Range")))
        file = self.folder / request.match_info["name"]
        if not file.exists():
            return web.Response(status=404)
        response = web.FileResponse(file)
        self._answers.append((file.name, response))
        return response

    async def _listen(self, runner: web.AppRunner) -> None:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
