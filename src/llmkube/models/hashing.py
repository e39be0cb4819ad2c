"""The sha256 of a file while it is written: follows the bytes that are there without a gap, right behind them.

It reads them from the page cache, where they have just been put: the transfer never gets further ahead than its window.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llmkube.models.partial import Partial

BLOCK = 2 * 1024 * 1024
STEP = 64 * 1024 * 1024


class Hashing:
    """`hashed` bytes from the beginning are in the digest."""

    def __init__(self, partial: Partial) -> None:
        self._partial = partial
        self._buffer = memoryview(bytearray(BLOCK))
        self._sha256 = hashlib.sha256()
        self.hashed = 0

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()

    async def follow(
        self, is_over: Callable[[], bool], changed: Callable[[], Awaitable[None]], wake: Callable[[], None]
    ) -> None:
        """Hash what is written until everything is. `changed` returns when there may be more; `wake` tells of ours."""
        while True:
            over, frontier = is_over(), self._partial.written.frontier
            if frontier > self.hashed:
                await asyncio.to_thread(self.advance, min(frontier, self.hashed + STEP))
                wake()
            elif over:
                return
            else:
                await changed()

    def advance(self, frontier: int) -> None:
        """Hash up to there. Blocking; OSError when the disk does not give back what it was given."""
        while self.hashed < frontier:
            count = self._partial.read_into(self._buffer[: frontier - self.hashed], self.hashed)
            if not count:
                raise OSError(f"{self._partial.path} became shorter while it was written")
            self._sha256.update(self._buffer[:count])
            self.hashed += count
