"""What starts when and ends when: caches, standby, lease, workers, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.sim.loop import run
from tests.unit.runtime.conftest import HeldClock

from llmkube.kube.informer import Statistics
from llmkube.kube.kinds import Key
from llmkube.kube.lease import LeaseLostError
from llmkube.runtime.controller import Controller
from llmkube.runtime.manager import Manager, SyncTimeoutError
from llmkube.runtime.outcome import Result
from llmkube.runtime.queue import WorkQueue
from llmkube.runtime.tasks import EndedError

A = Key("team", "a")
PATIENCE = 10.0


class Informer:
    """A cache that is synced when the test says so."""

    name = "models"

    def __init__(self, happened: list[str]) -> None:
        self.happened = happened
        self.synced = asyncio.Event()
        self.last_error = ""

    def statistics(self) -> Statistics:
        return Statistics(0, 0, 0, 0)

    async def run(self) -> None:
        self.happened.append("informers run")
        try:
            await asyncio.Event().wait()
        finally:
            self.happened.append("informers ended")


class Elector:
    """A lease that the test gives and takes."""

    name = "lease"

    def __init__(self, happened: list[str]) -> None:
        self.happened = happened
        self.given = asyncio.Event()
        self.lost = asyncio.Event()
        self.trouble = ""

    def check(self) -> str:
        return self.trouble

    async def run(self, on_started: Callable[[], Awaitable[None]]) -> None:
        await self.given.wait()
        self.happened.append("lease held")
        lost: list[Exception] = []
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._keep())
                await on_started()
                keeping.cancel()
            self.happened.append("lease released")
        except* LeaseLostError as errors:
            lost += errors.exceptions
        if lost:
            raise lost[0]

    async def _keep(self) -> None:
        await self.lost.wait()
        raise LeaseLostError("lost")


class Bench:
    """A manager of one controller and everything around it; `happened` is the order of things."""

    def __init__(self, **parts: Any) -> None:
        self.happened: list[str] = []
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.informer = Informer(self.happened)
        self.elector = Elector(self.happened)
        self.controller = Controller("model", reconcile=self._reconcile, queue=WorkQueue(HeldClock()), workers=1)
        self.manager = Manager(
            informers=[self.informer],
            controllers=[self.controller],
            **{"background": [self._background], "elector": self.elector, **parts},
        )
        self.running = asyncio.create_task(self.manager.run())

    async def _reconcile(self, key: Key) -> Result:
        self.happened.append("work begins")
        try:
            await self.let_go.wait()
            self.happened.append("work ends")
        except asyncio.CancelledError:
            self.happened.append("work cancelled")
            raise
        return Result()

    async def _background(self) -> None:
        self.happened.append("background runs")
        try:
            await asyncio.Event().wait()
        finally:
            self.happened.append("background ended")

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def lead(self) -> None:
        self.informer.synced.set()
        self.elector.given.set()
        self.controller.enqueue(A)
        await self.settle()

    async def end(self) -> None:
        self.manager.stop()
        await asyncio.wait_for(self.running, PATIENCE)


async def test_nobody_works_before_the_caches_are_synced_and_the_lease_is_held() -> None:
    bench = Bench()
    bench.controller.enqueue(A)
    bench.elector.given.set()
    await bench.settle()
    assert bench.happened == ["informers run"]
    bench.informer.synced.set()
    await bench.settle()
    assert bench.happened == ["informers run", "lease held", "background runs", "work begins", "work ends"]
    await bench.end()


async def test_a_standby_fills_its_queues_and_does_nothing() -> None:
    bench = Bench()
    bench.informer.synced.set()
    bench.controller.enqueue(A)
    await bench.settle()
    assert bench.happened == ["informers run"]
    assert bench.controller.queue.statistics().ready == 1
    await bench.end()
    assert bench.happened == ["informers run", "informers ended"]


async def test_at_the_end_what_is_in_hand_is_done_then_the_lease_is_released_and_the_informers_end_last() -> None:
    bench = Bench()
    bench.let_go.clear()
    await bench.lead()
    bench.manager.stop()
    await bench.settle()
    assert "lease released" not in bench.happened
    bench.let_go.set()
    await asyncio.wait_for(bench.running, PATIENCE)
    assert bench.happened[-4:] == ["work ends", "background ended", "lease released", "informers ended"]


def test_work_that_does_not_end_is_cancelled_after_thirty_seconds() -> None:
    async def main() -> tuple[float, list[str]]:
        bench = Bench()
        bench.let_go.clear()
        await bench.lead()
        bench.manager.stop()
        await bench.running
        return asyncio.get_running_loop().time(), bench.happened

    after, happened = run(main)
    assert after == pytest.approx(30)
    assert happened[-4:] == ["work cancelled", "background ended", "lease released", "informers ended"]


async def test_a_lost_lease_ends_everything_at_once_and_drains_nothing() -> None:
    bench = Bench()
    bench.let_go.clear()
    await bench.lead()
    bench.elector.lost.set()
    with pytest.raises(BaseExceptionGroup) as raised:
        await asyncio.wait_for(bench.running, PATIENCE)
    assert raised.group_contains(LeaseLostError)
    assert "work ends" not in bench.happened
    assert "lease released" not in bench.happened


def test_caches_that_cannot_be_listed_end_it_after_two_minutes_with_their_names_and_why() -> None:
    async def main() -> float:
        bench = Bench()
        bench.informer.last_error = 'models is forbidden: User "x" cannot list'
        with pytest.raises(BaseExceptionGroup) as raised:
            await bench.running
        assert raised.group_contains(SyncTimeoutError, match="not listed within 120 s: models: models is forbidden")
        return asyncio.get_running_loop().time()

    assert run(main) == pytest.approx(120)


async def test_a_stop_while_the_caches_sync_is_an_orderly_end() -> None:
    bench = Bench()
    await bench.settle()
    await bench.end()
    assert bench.happened == ["informers run", "informers ended"]


async def test_background_work_that_ends_by_itself_ends_the_process() -> None:
    async def nothing() -> None:
        """End at once."""

    bench = Bench(background=[nothing])
    await bench.lead()
    with pytest.raises(BaseExceptionGroup) as raised:
        await asyncio.wait_for(bench.running, PATIENCE)
    assert raised.group_contains(EndedError)


async def test_the_leader_and_nobody_else_says_so_in_the_metrics() -> None:
    bench = Bench()

    def leads() -> float | None:
        return bench.manager.metrics.registry.get_sample_value("leader_election_master_status", {"name": "lease"})

    bench.informer.synced.set()
    await bench.settle()
    assert leads() == 0
    await bench.lead()
    assert leads() == 1
    await bench.end()
    assert leads() == 0


async def test_without_an_elector_it_works_as_soon_as_the_caches_are_synced() -> None:
    bench = Bench(elector=None)
    await bench.lead()
    assert bench.happened == ["informers run", "background runs", "work begins", "work ends"]
    await bench.end()


class Watching:
    is_watching = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.is_watching = True
        yield
        self.is_watching = False


async def test_a_loop_that_stalls_is_watched_while_this_process_leads_and_no_longer() -> None:
    watchdog = Watching()
    bench = Bench(watchdog=watchdog)
    bench.informer.synced.set()
    await bench.settle()
    seen = [watchdog.is_watching]
    await bench.lead()
    seen.append(watchdog.is_watching)
    await bench.end()
    assert [*seen, watchdog.is_watching] == [False, True, False]
