"""Time that a test moves."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class HeldTimer:
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class HeldClock:
    """runtime/clock.py's Clock, standing still between calls of `advance`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._timers: list[tuple[float, int, HeldTimer]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def call_later(self, delay: float, callback: Callable[[], None]) -> HeldTimer:
        timer = HeldTimer(callback)
        heapq.heappush(self._timers, (self.seconds + delay, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass and what is due happen, in order."""
        ends = self.seconds + seconds
        while self._timers and self._timers[0][0] <= ends:
            self.seconds, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                timer.callback()
        self.seconds = ends


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()
