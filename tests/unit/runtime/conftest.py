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
    due: float
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True

    def when(self) -> float:
        return self.due


class HeldClock:
    """runtime/clock.py's Clock, standing still between calls of `advance`; it went on while the machine `slept`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept = 0.0
        self._timers: list[tuple[float, int, HeldTimer]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        return self.seconds + self.slept

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def call_later(self, delay: float, callback: Callable[[], None]) -> HeldTimer:
        timer = HeldTimer(callback, self.seconds + delay)
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
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
