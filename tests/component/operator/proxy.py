"""A way to the API server that writes down what passes, and that can be cut, as when a cable is pulled."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

    from tests.component.operator.journal import Journal, Write

Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PIECE = 1 << 16
HEAD_ENDS = b"\r\n\r\n"


class Proxy:
    """Listens on loopback for one process, `who`: its TLS ends here and another begins.

    After `cut` connections are accepted and nothing passes; what was on its way is lost. After `mend` new connections
    work, and those of before are closed, as by a router that has forgotten them.
    """

    def __init__(
        self, who: str, server: str, journal: Journal, *, ours: ssl.SSLContext, theirs: ssl.SSLContext
    ) -> None:
        self.who = who
        self.journal = journal
        self.url = ""
        self._server = urlsplit(server)
        self._ours, self._theirs = ours, theirs
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._cuts = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

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

    async def passes(self, born: int) -> bool:
        """Whether a connection of that time still carries anything; waits while the line is cut."""
        await self._open.wait()
        return self._cuts == born

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._ours)
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._end = self._loop.create_future()
        self._ready.set()
        with suppress(asyncio.CancelledError):
            await self._end
        server.close()
        ours = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        for each in ours:
            each.cancel()
        await asyncio.gather(*ours, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        born = self._cuts
        async with _closing(writer):
            await self._open.wait()
            host, port = self._server.hostname, self._server.port
            far_reader, far_writer = await asyncio.open_connection(host, port, ssl=self._theirs)
            async with _closing(far_writer):
                await _Line(self, born).carry((reader, writer), (far_reader, far_writer))


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Its socket is closed at the end of the block, also when the other side says no good-bye, as TLS wants it to."""
    try:
        yield
    finally:
        writer.close()
        try:
            async with asyncio.timeout(1):
                await writer.wait_closed()
        except OSError:  # a timeout is one
            writer.transport.abort()
            await asyncio.sleep(0.01)  # what is aborted is closed by a later turn of the loop


class _Line:
    """One connection: requests one after the other, as HTTP/1.1 has them."""

    def __init__(self, proxy: Proxy, born: int) -> None:
        self._proxy = proxy
        self._born = born
        self._asked: deque[Write | None] = deque()

    async def carry(self, near: Way, far: Way) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.ask(near[0], far[1]))
                group.create_task(self.answer(far[0], near[1]))
        finally:
            self.close()

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # of TLS too
            while True:
                head = await reader.readuntil(HEAD_ENDS)
                body = await reader.readexactly(_length(head))
                if not await self._proxy.passes(self._born):
                    break
                method, path, _ = head.decode().split(" ", 2)
                self._asked.append(self._proxy.journal.sent(self._proxy.who, method, path, body))
                writer.write(head + body)
                await writer.drain()
        writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                if self._asked and piece.startswith(b"HTTP/1."):
                    self._ended(int(piece.split(b" ", 2)[1]))
                if not await self._proxy.passes(self._born):
                    break
                writer.write(piece)
                await writer.drain()
        writer.close()

    def close(self) -> None:
        while self._asked:
            self._ended(0)

    def _ended(self, status: int) -> None:
        if write := self._asked.popleft():
            self._proxy.journal.ended(write, status)


def _length(head: bytes) -> int:
    lines = (each.partition(b":") for each in head.split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name.lower() == b"content-length"), 0)
