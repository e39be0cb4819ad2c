"""What becomes of a key after each outcome, and that one key can neither stop nor hold up another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from tests.unit.runtime.conftest import HeldClock

from llmkube.kube.errors import (
    ApiError,
    Invalid,
    TooManyRequests,
    TransportError,
)
from llmkube.kube.kinds import Key
from llmkube.runtime.controller import Controller
from llmkube.runtime.metrics import Metrics
from llmkube.runtime.outcome import (
    Result,
    TerminalError,
)
from llmkube.runtime.queue import WorkQueue

A, B = Key("team", "a"), Key("team", "b")
FAMILIES = ("reconcile_errors", "terminal_reconcile_errors", "reconcile_panics", "reconcile_timeouts")


class Bench:
    """A controller whose reconciles do what they are told, once for each word."""

    def __init__(self, clock: HeldClock, *, workers: int = 1, timeout: float = 5.0) -> None:
        self.clock = clock
        self.seen: list[Key] = []
        self.metrics = Metrics()
        self.answers: dict[Key, Callable[[], Awaitable[Result]]] = {}
        self.controller = Controller(
            "model", reconcile=self._reconcile, queue=WorkQueue(clock), workers=workers, timeout=timeout
        )
        self.controller.observe(self.metrics)

    async def _reconcile(self, key: Key) -> Result:
        self.seen.append(key)
        return await self.answers[key]() if key in self.answers else Result()

    def value(self, name: str, **labels: str) -> float | None:
        full = f"controller_runtime_{name}_total"
        return self.metrics.registry.get_sample_value(full, {"controller": "model", **labels})

    async def settle(self) -> None:
        """Let everybody run until nobody has anything to do."""
        for _ in range(50):
            await asyncio.sleep(0)


@pytest.fixture
def bench(clock: HeldClock) -> Bench:
    return Bench(clock)


def busy(seconds: float) -> ApiError:
    error = TooManyRequests(429, "TooManyRequests", "slow down")
    error.retry_after = seconds
    return error


def ends(result: Result) -> Callable[[], Awaitable[Result]]:
    async def reconcile() -> Result:
        return result

    return reconcile


def fails(error: BaseException) -> Callable[[], Awaitable[Result]]:
    async def reconcile() -> Result:
        raise error

    return reconcile


async def run(bench: Bench, answer: Callable[[], Awaitable[Result]], *, then: float) -> int:
    """Reconcile A with this answer, let `then` seconds pass, and count how often it was reconciled."""
    bench.answers[A] = answer
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.controller.run())
        bench.controller.enqueue(A)
        await bench.settle()
        bench.clock.advance(then)
        await bench.settle()
        bench.controller.stop()
    return bench.seen.count(A)


@pytest.mark.parametrize(
    ("answer", "result", "again"),
    [
        (ends(Result()), "success", 1),
        (ends(Result(requeue_after=60)), "requeue_after", 2),
        (ends(Result(requeue=True)), "requeue", 2),
        (ends(Result(requeue_after=3600, requeue=True)), "requeue", 2),
        (fails(TransportError("reset")), "error", 2),
        (fails(busy(60)), "error", 2),
        (fails(busy(61)), "error", 1),
        (fails(TerminalError("wrong")), "error", 1),
        (fails(Invalid(422, "Invalid", "spec.x: wrong")), "error", 1),
        (fails(ZeroDivisionError()), "error", 2),
    ],
    ids=["done", "later", "again", "again wins", "failed", "busy", "busy for longer", "terminal", "422", "bug"],
)
async def test_a_key_comes_back_as_its_outcome_says(
    bench: Bench, answer: Callable[[], Awaitable[Result]], result: str, again: int
) -> None:
    assert await run(bench, answer, then=60) == again
    assert bench.value("reconcile", result=result) == again


async def test_every_kind_of_failure_has_a_counter_of_its_own_that_starts_at_0(clock: HeldClock) -> None:
    errors = {
        "reconcile_errors": TransportError("reset"),
        "terminal_reconcile_errors": TerminalError("wrong"),
        "reconcile_panics": ZeroDivisionError(),
    }
    for name, error in errors.items():
        bench = Bench(clock)
        assert [bench.value(each) for each in FAMILIES] == [0, 0, 0, 0]
        await run(bench, fails(error), then=0)
        assert bench.value(name) == 1


@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        (ends(Result()), 0),
        (ends(Result(requeue_after=3600)), 0),
        (fails(TerminalError("wrong")), 0),
        (ends(Result(requeue=True)), 2),
        (fails(TransportError("reset")), 2),
    ],
    ids=["done", "later", "terminal", "again", "failed"],
)
async def test_success_begins_the_back_off_anew_and_so_does_a_wish_to_come_back_later(
    bench: Bench, answer: Callable[[], Awaitable[Result]], failures: int
) -> None:
    bench.controller.queue.add_rate_limited(A)
    await run(bench, answer, then=0)
    assert bench.controller.queue.failures(A) == failures


async def test_what_failed_for_good_is_tried_again_when_its_object_changes(bench: Bench) -> None:
    assert await run(bench, fails(TerminalError("wrong")), then=36_000) == 1
    other = Bench(bench.clock)
    other.answers[A] = fails(TerminalError("wrong"))
    async with asyncio.TaskGroup() as group:
        group.create_task(other.controller.run())
        for _ in range(2):
            other.controller.enqueue(A)
            await other.settle()
        other.controller.stop()
    assert other.seen == [A, A]
    assert other.value("terminal_reconcile_errors") == 2


async def test_a_reconcile_that_takes_too_long_is_cancelled_and_tried_again(clock: HeldClock) -> None:
    bench = Bench(clock, timeout=0.01)
    cancelled = asyncio.Event()

    async def hang() -> Result:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return Result()

    bench.answers[A] = hang
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.controller.run())
        bench.controller.enqueue(A)
        await asyncio.wait_for(cancelled.wait(), 10)
        await bench.settle()
        bench.controller.stop()
    assert bench.value("reconcile_timeouts") == 1
    assert bench.controller.queue.failures(A) == 1


async def test_a_key_that_is_stuck_holds_up_no_other(clock: HeldClock) -> None:
    bench = Bench(clock, workers=2, timeout=60)
    let_go = asyncio.Event()

    async def stuck() -> Result:
        await let_go.wait()
        return Result()

    bench.answers[A] = stuck
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.controller.run())
        bench.controller.enqueue(A)
        await bench.settle()
        for _ in range(3):
            bench.controller.enqueue(B)
            await bench.settle()
        assert bench.seen == [A, B, B, B]
        let_go.set()
        await bench.settle()
        bench.controller.stop()


async def test_passes_that_wait_for_nothing_let_others_run_in_between(clock: HeldClock) -> None:
    """As after a restart, when all is as it should be: a lease is renewed meanwhile, and /livez answered."""
    bench, seen = Bench(clock, workers=4), [0]

    async def others() -> None:
        while seen[-1] < 1000:
            await asyncio.sleep(0)
            seen.append(len(bench.seen))

    for number in range(1000):
        bench.controller.enqueue(Key("team", f"m{number}"))
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.controller.run())
        await others()
        bench.controller.stop()
    assert max(after - before for before, after in pairwise(seen)) <= 4


async def test_one_key_is_never_in_two_workers(clock: HeldClock) -> None:
    bench, at_once = Bench(clock, workers=4), []

    async def look() -> Result:
        at_once.append(bench.controller.queue.statistics().processing)
        await asyncio.sleep(0)
        return Result()

    bench.answers[A] = look
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.controller.run())
        for _ in range(20):
            bench.controller.enqueue(A)
            await asyncio.sleep(0)
        await bench.settle()
        bench.controller.stop()
    assert set(at_once) == {1}
    assert len(at_once) > 1


async def test_stopping_lets_what_is_in_hand_end_and_takes_nothing_more(bench: Bench) -> None:
    let_go = asyncio.Event()

    async def slow() -> Result:
        await let_go.wait()
        return Result()

    bench.answers[A] = slow
    running = asyncio.create_task(bench.controller.run())
    bench.controller.enqueue(A)
    bench.controller.enqueue(B)
    await bench.settle()
    bench.controller.stop()
    await bench.settle()
    assert not running.done()
    let_go.set()
    await asyncio.wait_for(running, 5)
    assert bench.seen == [A]
