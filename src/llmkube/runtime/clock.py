"""Time as a value that is passed in, so that a test of an hour takes no time and a failure replays.

Nothing in runtime/ or controllers/ reads a clock or sets a timer in any other way.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer(Protocol):
    """A call that has not been made yet."""

    def cancel(self) -> None: ...

    def when(self) -> float:
        """In seconds of the event loop's own time, which may stand still where `monotonic` does not."""


class Clock(Protocol):
    """What the operator knows of time."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    def now(self) -> datetime:
        """The time of day, UTC, for what is written into objects."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Calls back after `delay` seconds on the event loop."""


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's time and the running event loop's timers.

    `monotonic` goes on while the machine is suspended, where the system has such a clock: after it, a lease is over.
    Timers do not: what is due is to be compared with what is due by Timer.when alone.
    """

    def monotonic(self) -> float:
        return time.clock_gettime(_STEADY)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)
