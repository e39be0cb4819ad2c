"""One file into the cache: asked for, resumed, tried again while it moves, verified, and only then given its name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.models.cache import Blob, Cache, key_of, storage_error
from llmkube.models.errors import SourceError
from llmkube.models.partial import Partial

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from llmkube.models.remote import Remote, RemoteFile
    from llmkube.models.source import Source

Moved = Callable[[int, int | None], None]
"""Told how many bytes of the file are here, and of how many (None: unknown)."""

CHUNK = 1024 * 1024
MOST_TRIES = 6
FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0


@dataclass(frozen=True)
class Download:
    """One file of a model, over HTTP. `expected` is its sha256 when somebody knows it."""

    remote: Remote
    cache: Cache
    source: Source
    file: RemoteFile
    expected: str
    moved: Moved

    @property
    def key(self) -> str:
        return key_of(self.source.text, self.expected or self.file.sha256, self.file.etag, self.file.size)

    @property
    def _is_resumable(self) -> bool:
        """Without a digest or an entity tag nobody can say that the rest belongs to what is here."""
        return bool(self.expected or self.file.etag)

    async def run(self) -> Blob:
        """The verified blob. SourceError; what can be resumed is kept, what is wrong is not."""
        partial = await asyncio.to_thread(self._open)
        try:
            await self._fill(partial)
        except (asyncio.CancelledError, SourceError) as error:
            is_wrong = isinstance(error, SourceError) and error.reason in {"NotGGUF", "SizeMismatch"}
            await asyncio.shield(asyncio.to_thread(partial.discard if is_wrong else partial.close))
            raise
        return await asyncio.to_thread(verified, self.cache, partial, self.expected, self.source.text)

    def _open(self) -> Partial:
        try:
            partial = Partial(self.cache.partial(self.key), source=self.source.text)
            if self._is_resumable:
                partial.resume()
            else:
                partial.restart()
        except OSError as error:
            raise storage_error(self.cache.root, error) from None
        try:
            self.cache.check_space(max((self.file.size or 0) - partial.length, 0))
        except SourceError:
            partial.close()
            raise
        return partial

    async def _fill(self, partial: Partial) -> None:
        await retried(lambda: self._receive(partial), lambda: partial.length)
        total = self.file.size
        if total is not None and partial.length != total:
            message = f"{self.source.text}: expected {total} bytes, found {partial.length}"
            raise SourceError("SizeMismatch", message)

    async def _receive(self, partial: Partial) -> None:
        if self.file.size is not None and partial.length == self.file.size:
            return
        async with self.remote.body(self.source, partial.length, etag=self.file.etag) as body:
            if body.etag != self.file.etag:
                await asyncio.to_thread(partial.restart)
                message = f"{self.source.text}: expected entity tag {self.file.etag}, found {body.etag or 'none'}"
                raise SourceError("SourceChanged", f"{message}: the file changed; it is fetched anew")
            if body.start != partial.length:
                await asyncio.to_thread(partial.restart)
            async for chunk in body.chunks(CHUNK):
                await asyncio.to_thread(self._write, partial, chunk)
                self.moved(partial.length, self.file.size)

    def _write(self, partial: Partial, chunk: bytes) -> None:
        if self.file.size is not None and partial.length + len(chunk) > self.file.size:
            message = f"{self.source.text}: expected {self.file.size} bytes, found more"
            raise SourceError("SizeMismatch", message)
        try:
            partial.write(chunk)
        except OSError as error:
            raise storage_error(self.cache.root, error) from None


def verified(cache: Cache, partial: Partial, expected: str, source: str) -> Blob:
    """Complete bytes become a blob when their digest is the expected one; else they go."""
    digest = partial.digest
    if expected and digest != expected:
        partial.discard()
        message = f"{source}: expected sha256 {expected}, found {digest}; correct spec.sha256 or the source"
        raise SourceError("DigestMismatch", message)
    try:
        partial.finish()
        return cache.commit(partial.path, digest)
    except OSError as error:
        raise storage_error(cache.root, error) from None


async def retried(attempt: Callable[[], Awaitable[None]], progress: Callable[[], int]) -> None:
    """Tries again after retryable errors, with growing pauses; gives up after MOST_TRIES without a byte of progress."""
    tries, before = 0, progress()
    while True:
        try:
            return await attempt()
        except SourceError as error:
            tries = tries + 1 if progress() <= before else 1
            before = progress()
            if not error.retryable or error.reason in {"NoSpace", "SourceChanged"} or tries >= MOST_TRIES:
                raise
        await asyncio.sleep(min(FIRST_DELAY * 2 ** (tries - 1), LONGEST_DELAY))


def copied(cache: Cache, path: Path, *, expected: str, source: str, moved: Moved) -> Blob:
    """A local file into the cache, with the same checks. Blocking."""
    try:
        size = path.stat().st_size
        cache.check_space(size)
        partial = Partial(cache.partial(key_of(path, size)), source=source)
        partial.restart()
        _copy(path, partial, lambda: moved(partial.length, size))
    except FileNotFoundError:
        raise SourceError("NotFound", f"{source}: expected a file, found nothing at {path}") from None
    except OSError as error:
        raise storage_error(cache.root, error) from None
    return verified(cache, partial, expected, source)


def _copy(path: Path, partial: Partial, moved: Callable[[], None]) -> None:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                partial.write(chunk)
                moved()
    except SourceError:
        partial.discard()
        raise
