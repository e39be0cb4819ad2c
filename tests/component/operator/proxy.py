"""A way to the API server that can be cut, as when a cable is pulled."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from urllib.parse import urlsplit

PIECE = 1 << 16


class Proxy:
    """Listens on loopback for one process.

    After `cut` connections are accepted and nothing passes; what was on its way is lost. After `mend` new connections
    work, and those of before are closed, as by a router that has forgotten them.
    """

    def __init__(self, server: str) -> None:
        self._server = urlsplit(server)
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._cuts = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self.url = ""

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.cancel)
        self._thread.join(20)
        self._loop.close()

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._cut)

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._open.set)

    def _cut(self) -> None:
        self._cuts += 1
        self._open.clear()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.url = f"{self._server.scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._end = self._loop.create_future()
        self._ready.set()
        with suppress(asyncio.CancelledError):
            await self._end
        server.close()
        ours = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        for each in ours:
            each.cancel()
        await asyncio.gather(*ours, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        born = self._cuts
        await self._open.wait()
        far_reader, far_writer = await asyncio.open_connection(self._server.hostname, self._server.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(born, reader, far_writer))
                group.create_task(self._copy(born, far_reader, writer))
        finally:
            for each in (writer, far_writer):
                each.close()

    async def _copy(self, born: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(PIECE):
                await self._open.wait()
                if self._cuts != born:
                    break
                writer.write(piece)
                await writer.drain()
        writer.close()
