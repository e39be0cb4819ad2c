"""The bytes of one file over several connections at once, each to its place, hashed in order right behind.

A connection fetches a span at a time, in the order of the file. None begins further than WINDOW ahead of what is hashed
and of what is noted as on disk: so the digest reads from the page cache, and a kill costs at most WINDOW and a SPAN. In
memory are, for each connection, at most 2 * CHUNK bytes, and what the HTTP client has read ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.models.answers import changed
from llmkube.models.errors import SourceError
from llmkube.models.hashing import Hashing
from llmkube.models.layout import storage_error
from llmkube.models.retry import pause
from llmkube.models.slots import MOST, is_too_slow
from llmkube.models.spans import next_span, uncovered

if TYPE_CHECKING:
    from pathlib import Path

    from llmkube.models.extents import Range
    from llmkube.models.partial import Partial
    from llmkube.models.remote import Body, Remote, RemoteFile
    from llmkube.models.slots import Slots
    from llmkube.models.source import Source

Put = Callable[[int, list[bytes]], Awaitable[None]]
Gate = Callable[[int], Awaitable[None]]

CHUNK = 1024 * 1024
MOST_PIECES = 256
LEAST_PIECE = 64
FLUSH_SECONDS = 1.0
SPAN = 32 * 1024 * 1024
WINDOW = 7 * SPAN
CHECKPOINT = 64 * 1024 * 1024
NOTE_SECONDS = 5.0
PROGRESS = 64 * 1024
"""A connection that brought less than this before it broke has brought nothing."""
REFUSALS = 3
"""So many answers without the range that was asked for, and the file is taken as one stream."""
BUSY = frozenset({"TooManyRequests", "ServerError"})


@dataclass(frozen=True)
class Origin:
    """Where a transfer's bytes come from. `is_resumable`: a later answer can be told to be of the same file."""

    remote: Remote
    source: Source
    file: RemoteFile
    is_resumable: bool

    @property
    def is_parallel(self) -> bool:
        return self.is_resumable and self.file.ranges and self.file.size is not None


@dataclass(frozen=True, slots=True)
class Try:
    """What a connection came to: the bytes that it brought, and why it ended early."""

    received: int
    error: SourceError | None = None


class Transfer:
    """Fills a partial file; for one run."""

    def __init__(
        self, origin: Origin, partial: Partial, slots: Slots, *, root: Path, moved: Callable[[int], None]
    ) -> None:
        self._origin, self._partial, self._slots = origin, partial, slots
        self._root, self._moved = root, moved
        self._hashing = Hashing(partial)
        self._claims: list[Range] = []
        self._refusals = 0
        self._change, self._due = asyncio.Event(), asyncio.Event()
        self._is_over = False

    async def run(self) -> str:
        """The digest of the whole file. SourceError; what is written stays in the partial file."""
        try:
            async with asyncio.TaskGroup() as group:
                noting = group.create_task(self._note_regularly())
                group.create_task(self._hashing.follow(lambda: self._is_over, self._changed, self._wake))
                await self._fill()
                noting.cancel()
                self._is_over = True
                self._wake()
        except BaseExceptionGroup as errors:
            raise first_error(errors, self._root) from None
        return self._hashing.digest

    async def _fill(self) -> None:
        self._moved(self._partial.written.length)
        if self._origin.is_parallel:
            async with asyncio.TaskGroup() as group:
                for _ in range(MOST):
                    group.create_task(self._connection())
        if not self._is_complete:
            await self._persist(self._stream)
        if self._origin.file.size not in {None, self._partial.written.length}:
            message = f"expected {self._origin.file.size} bytes, found {self._partial.written.length}"
            raise SourceError("SizeMismatch", f"{self._origin.source.text}: {message}")

    @property
    def _is_complete(self) -> bool:
        return self._origin.file.size is not None and self._partial.written.length >= self._origin.file.size

    @property
    def _horizon(self) -> int:
        return min(self._hashing.hashed, self._partial.noted.frontier) + WINDOW

    async def _connection(self) -> None:
        """One span after the other, until there are none, or the server turns out to have no ranges."""
        while not self._is_complete and self._refusals < REFUSALS:
            span = next_span(self._partial.written, self._claims, end=self._origin.file.size or 0, most=SPAN)
            if span is None:
                await self._changed()
                continue
            if span[0] >= self._horizon:
                await self._caught_up()
                continue
            self._claims.append(span)
            try:
                await self._persist(functools.partial(self._rest, span))
            finally:
                self._claims.remove(span)
                self._wake()

    async def _persist(self, attempt: Callable[[], Awaitable[Try | None]]) -> None:
        """Try until it is done, with pauses that grow while nothing comes; SourceError when that is hopeless."""
        tries = 0
        while (done := await attempt()) is not None and done.error is not None:
            tries = 1 if done.received >= PROGRESS else tries + 1
            delay = pause(done.error, tries) if self._origin.is_resumable else None
            if delay is None:
                raise done.error
            if done.error.reason in BUSY:
                self._slots.pushed_back()
            await asyncio.sleep(delay)

    async def _rest(self, span: Range) -> Try | None:
        """Fetch what is missing of a span; None when nothing is, or when spans have no sense any more."""
        origin = self._origin
        if self._refusals >= REFUSALS:
            return None
        async with self._slots.one():
            for start, end in self._partial.written.missing(*span):
                return await self._tried(origin.remote.span(origin.source, start, end, etag=origin.file.etag), end)
        return None

    async def _stream(self) -> Try:
        """Fetch the rest in one answer; from its beginning where the server has no ranges."""
        origin = self._origin
        start = self._partial.written.frontier if origin.file.ranges and origin.is_resumable else 0
        async with self._slots.one():
            answer = origin.remote.body(origin.source, start, etag=origin.file.etag)
            return await self._tried(answer, origin.file.size, self._gate)

    async def _tried(
        self, answer: contextlib.AbstractAsyncContextManager[Body], end: int | None, gate: Gate | None = None
    ) -> Try:
        receiver = Receiver(self._slots, end, self._origin.source.text)
        try:
            async with answer as body:
                if body.etag != self._origin.file.etag:
                    raise changed(self._origin.source, self._origin.file.etag, body.etag)
                await receiver.receive(body, self._put, gate)
        except SourceError as error:
            self._refusals += error.reason == "RangeRefused"
            return Try(receiver.received, error)
        return Try(receiver.received, receiver.short(body.start))

    async def _put(self, start: int, pieces: list[bytes]) -> None:
        for at, missing in uncovered(self._partial.written, start, pieces):
            await asyncio.to_thread(self._partial.write, at, missing)
        self._moved(self._partial.written.length)
        if self._partial.unnoted >= CHECKPOINT:
            self._due.set()
        self._wake()

    async def _gate(self, at: int) -> None:
        """Hold a stream that is ahead of the disk or the digest. A span never waits: who is behind needs its slot."""
        while at > self._horizon:
            await self._caught_up()

    async def _caught_up(self) -> None:
        """Until the horizon may have moved; what keeps it is noted at once."""
        if self._partial.noted.frontier < self._partial.written.frontier:
            self._due.set()
        await self._changed()

    async def _note_regularly(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(NOTE_SECONDS):
                    await self._due.wait()
            self._due.clear()
            await asyncio.to_thread(self._partial.sync)
            self._wake()

    async def _changed(self) -> None:
        await self._change.wait()

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


class Receiver:
    """Gathers what a connection brings into pieces worth writing. `received` bytes so far, of those until `end`."""

    def __init__(self, slots: Slots, end: int | None, source: str) -> None:
        self._slots, self._end, self._source = slots, end, source
        self._pieces: list[bytes] = []
        self._held = 0
        self._at = 0
        self.received = 0

    async def receive(self, body: Body, put: Put, gate: Gate | None) -> None:
        """All of it; what had arrived is put also when the rest does not come. `gate` may hold it back."""
        self._at = body.start
        began = flushed = time.monotonic()
        try:
            async for chunk in body.chunks(CHUNK):
                self._take(chunk)
                now = time.monotonic()
                if self._is_worth_writing(now - flushed):
                    await self._flush(put)
                    if gate is not None:
                        await gate(self._at)
                    flushed = now
                self._check_speed(now - began)
        finally:
            await self._flush(put)

    def _take(self, chunk: bytes) -> None:
        if self._end is not None and self._at + self._held + len(chunk) > self._end:
            raise SourceError("SizeMismatch", f"{self._source}: expected bytes until {self._end}, found more")
        self._pieces.append(chunk)
        self._held += len(chunk)
        self.received += len(chunk)
        self._slots.received(len(chunk))

    def _is_worth_writing(self, seconds: float) -> bool:
        """By size or by time; the beginning of the file at once, as it tells whether the rest is worth having."""
        if self._held >= CHUNK or len(self._pieces) >= MOST_PIECES:
            return True
        return self._held >= LEAST_PIECE and (seconds >= FLUSH_SECONDS or self._at == 0)

    async def _flush(self, put: Put) -> None:
        pieces, count, start = self._pieces, self._held, self._at
        self._pieces, self._held, self._at = [], 0, start + count
        try:
            if pieces:
                await put(start, pieces)
        finally:
            self._slots.written(count)

    def _check_speed(self, seconds: float) -> None:
        if is_too_slow(self.received, seconds, self._slots.typical):
            message = f"{self._source}: expected more than {self.received} bytes in {seconds:.0f} s from one connection"
            raise SourceError("HostUnreachable", f"{message}; it is replaced", retryable=True)

    def short(self, start: int) -> SourceError | None:
        """The error when the answer ended, without breaking, before its end."""
        if self._end is None or self._at >= self._end:
            return None
        message = f"{self._source}: expected bytes {start} to {self._end}, found {self._at - start} of them"
        return SourceError("HostUnreachable", f"{message}; it is tried again", retryable=True)


def first_error(errors: BaseExceptionGroup[BaseException], root: Path) -> BaseException:
    """Of tasks that fail together, what made them; a disk that refuses is an error about the cache."""
    error = errors.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        return first_error(error, root)
    return storage_error(root, error) if isinstance(error, OSError) else error
