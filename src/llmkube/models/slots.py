"""How many connections a fetch has at once: as many as make it faster, few to begin with.

Shared by all files of a fetch. A server that says it is busy gets fewer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

FIRST, MOST = 2, 8
INTERVAL = 1.0
GAIN = 1.1
"""One more connection is worth it when it brings a tenth more."""
REST = 15
"""Intervals until it is tried again whether more help."""
SLOW_SECONDS = 15.0
SLOWEST = 1024.0
SLOW_SHARE = 10


@dataclass(frozen=True, slots=True)
class Climb:
    """A search for the number of connections: `rate` in bytes/s at the number before this one; 0.0 is not known."""

    limit: int = FIRST
    rate: float = 0.0
    rest: int = 0

    def after(self, rate: float) -> Climb:
        """What an interval at `limit` that brought `rate` bytes/s means for the next one."""
        if self.rest:
            return Climb(self.limit, 0.0, self.rest - 1)
        if self.rate and rate < self.rate * GAIN:
            return Climb(max(self.limit - 1, 1), 0.0, REST)
        return Climb(self.limit + 1, rate) if self.limit < MOST else Climb(self.limit, 0.0, REST)

    def pushed_back(self) -> Climb:
        """The server is busy."""
        return Climb(max(self.limit // 2, 1), 0.0, 4 * REST)


def is_too_slow(received: int, seconds: float, others: float) -> bool:
    """Whether a connection is worth replacing; `others` is what one of the others brings, in bytes/s."""
    return seconds >= SLOW_SECONDS and received < seconds * max(SLOWEST, others / SLOW_SHARE)


class Slots:
    """Turns at the network. `held` are bytes that have arrived and are not written yet, `most_held` the most so far."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._climb = Climb()
        self._used = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._since: float | None = None
        self._received = 0
        self._rate = 0.0
        self.held = self.most_held = 0

    @property
    def limit(self) -> int:
        return self._climb.limit

    @property
    def typical(self) -> float:
        """Bytes/s of one connection in the last interval."""
        return self._rate / max(self._used, 1)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn, in order of asking, and have it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._grant()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._used -= 1
            self._grant()

    def _grant(self) -> None:
        while self._waiting and self._used < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._used += 1
                turn.set_result(None)

    def received(self, count: int) -> None:
        """So many bytes arrived; once in an interval this may change the number of connections."""
        self.held += count
        self.most_held = max(self.most_held, self.held)
        self._received += count
        now = self._clock()
        if self._since is None:
            self._since = now
        elif now - self._since >= INTERVAL:
            self._rate = self._received / (now - self._since)
            self._since, self._received = now, 0
            if self._used >= self.limit:  # else more could not have been used
                self._climb = self._climb.after(self._rate)
                self._grant()

    def written(self, count: int) -> None:
        """So many bytes are on their way to the disk."""
        self.held -= count

    def pushed_back(self) -> None:
        """A server said that it is busy."""
        self._climb = self._climb.pushed_back()
