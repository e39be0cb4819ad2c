"""Time is a number, and a stopped process stands still while it passes."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.sim.loop import DeadlockError, Process, run, task_of


def test_an_hour_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    assert run(main) == pytest.approx(3600)
    assert time.monotonic() - before < 600


def test_timeouts_and_timers_fire_in_the_order_of_their_time() -> None:
    seen: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delay in (3, 1, 2):
            loop.call_later(delay, seen.append, f"{delay}")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.sleep(10)
        seen.append("timeout")
        await asyncio.sleep(1)

    run(main)
    assert seen == ["1", "2", "timeout", "3"]


def test_waiting_for_what_nobody_will_do_is_a_deadlock() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run(main)


def test_a_stopped_process_does_nothing_until_it_goes_on_and_misses_nothing() -> None:
    seen: list[float] = []
    process = Process("one")

    async def tick() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            seen.append(asyncio.get_running_loop().time())

    async def main() -> None:
        task = task_of(process, tick())
        await asyncio.sleep(1.5)
        process.stopped = True
        await asyncio.sleep(10)
        assert len(seen) == 1
        process.go_on()
        await task

    run(main)
    assert seen == pytest.approx([1, 11.5, 12.5])
