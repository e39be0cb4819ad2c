"""A clock whose timers fire when a test says so, and background work that ends with the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from llmkube.runtime.tasks import running


@dataclass
class HeldTimer:
    delay: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True

    def when(self) -> float:
        return self.delay


@dataclass
class HeldClock:
    """Time stands still; `fire` makes the calls that are due whenever."""

    seconds: float = 0.0
    timers: list[HeldTimer] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def call_later(self, delay: float, callback: Callable[[], None]) -> HeldTimer:
        self.timers.append(HeldTimer(delay, callback))
        return self.timers[-1]

    def fire(self) -> None:
        due, self.timers = [each for each in self.timers if not each.cancelled], []
        for each in due:
            each.callback()


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def settled() -> Callable[[], object]:
    """Let everything that can go on go on."""

    async def settle() -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    return settle


@pytest.fixture
def background() -> Callable[..., object]:
    """Run something for the length of a block."""

    @asynccontextmanager
    async def run(*jobs: Callable[[], object]) -> AsyncIterator[None]:
        async with running(jobs):  # type: ignore[arg-type]
            yield

    return run
