"""A controller: N workers that take keys from a queue and reconcile them, each on its own and with a bound.

A reconcile can neither stop a worker nor hold up another key for longer than its time: what it came to is a value
(outcome.py), and what that means for its key stands in one place, `_settle`. A controller does no I/O of its own.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import structlog

from llmkube.kube.kinds import Key
from llmkube.runtime.metrics import Metrics
from llmkube.runtime.outcome import Failed, Outcome, Panicked, Result, Terminal, TimedOut, attempt, one_line
from llmkube.runtime.queue import QueueShutDownError, WorkQueue
from llmkube.runtime.tracing import Tracing

log = structlog.get_logger(__name__)

Reconcile = Callable[[Key], Awaitable[Result]]


class Controller:
    """`workers` reconciles at once, each of at most `timeout` seconds."""

    def __init__(
        self, name: str, *, reconcile: Reconcile, queue: WorkQueue[Key], workers: int = 32, timeout: float = 60.0
    ) -> None:
        self.name = name
        self.queue = queue
        self.workers = workers
        self._reconcile = reconcile
        self._timeout = timeout
        self._metrics = Metrics().controller(name, queue)
        self.tracing = Tracing()
        self._ids = itertools.count(1)

    def enqueue(self, key: Key, *, after: float | None = None, priority: int = 0) -> None:
        """Wants the key reconciled now, or in `after` seconds."""
        if after is None:
            self.queue.add(key, priority)
        else:
            self.queue.add_after(key, after, priority)

    def observe(self, metrics: Metrics) -> None:
        """Counts everything in `metrics` from now on."""
        self._metrics = metrics.controller(self.name, self.queue)
        self.queue.observer = self._metrics.queue
        self._metrics.concurrency(self.workers)

    async def run(self) -> None:
        """Reconciles until stop(); returns when every worker has finished what it had in hand."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.workers):
                group.create_task(self._work(), name=f"{self.name} worker {number}")

    def stop(self) -> None:
        """No key is taken any more."""
        self.queue.shut_down()

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueShutDownError:
                return
            try:
                await self._process(key)
            finally:
                self.queue.done(key)
            await asyncio.sleep(0)  # passes that waited for nothing, thousands after a restart, would hold up the loop

    async def _process(self, key: Key) -> None:
        """Everything logged until the end of this reconcile says whose it is."""
        about: dict[str, str | int] = {
            "controller": self.name,
            "namespace": key.namespace,
            "name": key.name,
            "reconcile_id": next(self._ids),
        }
        with (
            structlog.contextvars.bound_contextvars(**about),
            self.tracing.span(f"reconcile {self.name}", about) as span,
        ):
            with self._metrics.reconciling():
                outcome = await attempt(lambda: self._reconcile(key), timeout=self._timeout)
            if span is not None:
                span.set_attribute("outcome", type(outcome).__name__)
            self._settle(key, outcome)

    def _settle(self, key: Key, outcome: Outcome) -> None:
        """What becomes of the key."""
        failures = self.queue.failures(key)
        match outcome:
            case Result(requeue=True):
                self._metrics.count("requeue")
                self.queue.add_rate_limited(key)
            case Result(requeue_after=None):
                self._metrics.count("success")
                self.queue.forget(key)
            case Result(requeue_after=float() | int() as seconds):
                self._metrics.count("requeue_after")
                self.queue.forget(key)
                self.queue.add_after(key, seconds)
            case Terminal(error):
                self._metrics.terminal_error()
                log.error("reconcile failed until the object changes", error=one_line(error))
                self.queue.forget(key)
            case TimedOut(seconds):
                self._metrics.timeout()
                log.error("reconcile was cancelled: it took too long", seconds=seconds, failures=failures + 1)
                self.queue.add_rate_limited(key)
            case Panicked(error):
                self._metrics.panic()
                log.error("reconcile failed by a bug", exc_info=error, failures=failures + 1)
                self.queue.add_rate_limited(key)
            case Failed(error):
                self._metrics.error()
                log.warning("reconcile failed", error=one_line(error), failures=failures + 1)
                self.queue.add_rate_limited(key, not_before=outcome.not_before)
