"""Runs what an operator is made of, in the one order that is safe, and ends it in the reverse.

    start   health server -> informers -> synced -> (standby: queues fill, nobody works) -> lease -> background, workers
    stop    take no key -> drain workers -> background -> release the lease -> informers -> health server

The lease goes before the informers: nothing writes any more by then, and whoever waits for it need not wait for eight
watches to be closed. A manager runs once. It must never work without the lease: when it is lost everything ends at
once, nothing is drained.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from llmkube.runtime.health import Check, application, serving
from llmkube.runtime.metrics import Metrics
from llmkube.runtime.tasks import Job, either, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from llmkube.kube.informer import Statistics
    from llmkube.runtime.controller import Controller

log = structlog.get_logger(__name__)

SYNC_TIMEOUT = 120.0
DRAIN_TIMEOUT = 30.0


class SyncTimeoutError(Exception):
    """A kind could not be listed in time; the message is one line."""


class Cache(Protocol):
    """An informer, to whoever runs it."""

    @property
    def name(self) -> str: ...
    @property
    def synced(self) -> asyncio.Event: ...
    @property
    def last_error(self) -> str: ...
    def statistics(self) -> Statistics: ...
    async def run(self) -> None: ...


class Elector(Protocol):
    """Leadership: `run` calls back when it has it, holds it until the call returns, then gives it up.

    It raises LeaseLostError (kube/lease.py) when it could not hold it.
    """

    @property
    def name(self) -> str: ...
    async def run(self, on_started: Callable[[], Awaitable[None]]) -> None: ...
    def check(self) -> str:
        """What is wrong (leading with a lease that is out of date); empty when nothing is."""


class Watcher(Protocol):
    """Ends the process when its loop stalls."""

    def watching(self) -> AbstractContextManager[None]: ...


class Manager:
    """`health_port` None serves nothing; without an elector this process always leads."""

    def __init__(
        self,
        *,
        informers: Sequence[Cache],
        controllers: Sequence[Controller],
        background: Sequence[Job] = (),
        health_port: int | None = None,
        health_host: str | None = None,
        elector: Elector | None = None,
        watchdog: Watcher | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self._informers = informers
        self._controllers = controllers
        self._background = background
        self._health = None if health_port is None else (health_host, health_port)
        self._elector = elector
        self._watchdog = watchdog
        self._leading = asyncio.Event()
        self._stop = asyncio.Event()
        self.port: int | None = None
        """Where the health server listens, once it does."""

    async def run(self) -> None:
        """Run until stop(), or until something fails; returns when everything has ended."""
        for controller in self._controllers:
            controller.observe(self.metrics)
        for informer in self._informers:
            self.metrics.stores.add(informer)
        async with self._serving_health(), running([each.run for each in self._informers], for_ever=True):
            await either(self._wait_for_stop, self._sync)
            if self._stop.is_set():
                return
            await (self._work() if self._elector is None else self._work_when_leading(self._elector))

    def stop(self) -> None:
        """Ask for an orderly end."""
        self._stop.set()

    async def _wait_for_stop(self) -> None:
        await self._stop.wait()

    async def _sync(self) -> None:
        """Wait for every cache; SyncTimeoutError names those that cannot be listed, and why."""
        try:
            async with asyncio.timeout(SYNC_TIMEOUT):
                for informer in self._informers:
                    await informer.synced.wait()
        except TimeoutError:
            late = [each for each in self._informers if not each.synced.is_set()]
            told = "; ".join(f"{each.name}: {each.last_error or 'no answer'}" for each in late)
            raise SyncTimeoutError(f"not listed within {SYNC_TIMEOUT:.0f} s: {told}") from None
        log.info("caches are synced", kinds=len(self._informers))

    async def _work_when_leading(self, elector: Elector) -> None:
        """Stand by until the lease is ours; a stop ends the standing by at once, and the work in order."""
        self.metrics.leader.labels(elector.name).set(0)
        async with asyncio.TaskGroup() as group:
            electing = group.create_task(elector.run(self._work), name="leader election")
            stopping = group.create_task(self._wait_for_stop(), name="stop")
            await asyncio.wait({electing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not self._leading.is_set():
                electing.cancel()
            await asyncio.wait({electing})
            stopping.cancel()

    async def _work(self) -> None:
        with self._leadership():
            async with running(self._background, for_ever=True):
                await self._reconcile()

    async def _reconcile(self) -> None:
        """Work until stop(), then finish what is in hand, within bounds."""
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(each.run(), name=each.name) for each in self._controllers]
            await self._stop.wait()
            for controller in self._controllers:
                controller.stop()
            if workers:
                _, late = await asyncio.wait(workers, timeout=DRAIN_TIMEOUT)
                for worker in late:
                    log.warning("cancelled: a reconcile did not end in time", controller=worker.get_name())
                    worker.cancel()

    @contextmanager
    def _leadership(self) -> Iterator[None]:
        """Say that this process leads, and have a stalled loop end it while it does."""
        watching = self._watchdog.watching() if self._watchdog and self._elector else nullcontext()
        leader = self.metrics.leader.labels(self._elector.name) if self._elector else None
        self._leading.set()
        if leader:
            leader.set(1)
        try:
            with watching:
                yield
        finally:
            self._leading.clear()
            if leader:
                leader.set(0)

    @asynccontextmanager
    async def _serving_health(self) -> AsyncIterator[None]:
        if self._health is None:
            yield
            return
        app = application(live=self._live(), ready=self._ready(), metrics=self.metrics)
        host, port = self._health
        async with serving(app, host=host, port=port) as self.port:
            log.info("health server listens", port=self.port)
            yield

    def _live(self) -> dict[str, Check]:
        return {"lease": self._elector.check} if self._elector else {}

    def _ready(self) -> dict[str, Check]:
        return {informer.name: partial(_synced, informer) for informer in self._informers}


def _synced(informer: Cache) -> str:
    return "" if informer.synced.is_set() else f"not synced: {informer.last_error or 'waiting for the first list'}"
