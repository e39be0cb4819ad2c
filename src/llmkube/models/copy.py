"""A file of this machine (or of a claim that is mounted) into the cache, with the checks of a download."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmkube.models.cache import key_of
from llmkube.models.download import commit, tidied
from llmkube.models.errors import SourceError
from llmkube.models.layout import storage_error
from llmkube.models.partial import Identity, Partial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmkube.models.cache import Blob, Cache, Holds

CHUNK = 4 * 1024 * 1024


@dataclass(frozen=True)
class Copy:
    """One copy of `path`, which the error messages call `source`; `moved` is told its bytes, from another thread."""

    cache: Cache
    path: Path
    source: str
    expected: str
    moved: Callable[[int], None]
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def key(self) -> str:
        return key_of(self.path)

    async def run(self, holds: Holds) -> Blob:
        """The verified blob, held. SourceError; nothing is kept of a copy that was broken off. The caller has the lock.

        A file that was copied before, and is of the same inode, size and time since, is not read again.
        """
        known = await asyncio.to_thread(self._known_key)
        for digest in [self.expected] if self.expected else await asyncio.to_thread(self._before, known):
            await holds.add(digest)
            if blob := await asyncio.to_thread(self.cache.find, digest):
                return await asyncio.to_thread(tidied, self.cache, blob)
        partial, digest = await self._stoppable()
        if self.expected and digest != self.expected:
            await asyncio.to_thread(partial.discard)
            message = f"{self.source}: expected sha256 {self.expected}, found {digest}"
            raise SourceError("DigestMismatch", f"{message}; correct spec.sha256 or the source")
        await holds.add(digest)
        return await asyncio.to_thread(commit, self.cache, partial, digest, known)

    def _known_key(self) -> str:
        try:
            found = self.path.stat()
        except OSError as error:
            missing = f"{self.source}: expected a file that can be read, found nothing at {self.path}: {error.strerror}"
            raise SourceError("NotFound", missing) from None
        return key_of(self.path, found.st_ino, found.st_size, found.st_mtime_ns)

    def _before(self, known: str) -> list[str]:
        blob = self.cache.known(known)
        return [blob.sha256] if blob is not None else []

    async def _stoppable(self) -> tuple[Partial, str]:
        copying = asyncio.ensure_future(asyncio.to_thread(self._copied))
        try:
            return await asyncio.shield(copying)
        except asyncio.CancelledError:
            self._stop.set()
            await asyncio.wait([copying])
            raise

    def _copied(self) -> tuple[Partial, str]:
        try:
            size = self.path.stat().st_size
            partial = Partial(self.cache.layout.partial(self.key), Identity(self.source, self.path.name, size))
            try:
                partial.restart()  # first of all: what a kill left of an earlier copy takes space
                self.cache.check_space(size)
                partial.reserve()
                return partial, self._filled(partial, size)
            except BaseException:
                partial.discard()
                raise
        except IsADirectoryError:
            message = f"{self.source}: expected a GGUF file, found a directory at {self.path}"
            raise SourceError("NotGGUF", message) from None
        except OSError as error:
            raise storage_error(self.cache.root, error) from None

    def _filled(self, partial: Partial, size: int) -> str:
        sha256, at = hashlib.sha256(), 0
        with self.path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                if self._stop.is_set():
                    raise SourceError("Interrupted", f"{self.source}: interrupted")
                partial.write(at, [chunk])
                sha256.update(chunk)
                at += len(chunk)
                self.moved(at)
        if at != size:
            message = f"{self.source}: expected {size} bytes, found {at}: the file changed while it was copied"
            raise SourceError("SizeMismatch", message)
        return sha256.hexdigest()
