"""Asks sources what they have, in the background: a source that is slow must never hold a reconcile worker.

    request(key, fingerprint, job)                 wants `job` run once for this state of the object; what was asked
                                                   before is dropped
    request(key, fingerprint, job, every=seconds)  wants it run now and then, the first time within `every`
    result(key, fingerprint)                       what came of it; None while nothing has
    forget(key)                                    the object is gone

Answers are kept until the fingerprint changes. A failure is told, and the question asked again with back-off: soon
when it may heal by itself, now and then when somebody may mend it elsewhere, else not at all. All pauses have jitter.
Nothing that a source does, a bug in reading it included, may end `run`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from llmkube.desired.conditions import one_line, reason_of
from llmkube.desired.fetch_retry import MENDED_ELSEWHERE
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known, Resolution, Unresolved
from llmkube.gguf.errors import GGUFError
from llmkube.kube.errors import KubeError
from llmkube.models.errors import SourceError
from llmkube.runtime.outcome import Failed, Panicked, Result, Terminal, TimedOut, attempt
from llmkube.runtime.queue import Backoff

if TYPE_CHECKING:
    from llmkube.kube.kinds import Key
    from llmkube.runtime.clock import Clock, Timer

log = structlog.get_logger(__name__)

Job = Callable[[], Awaitable[Known]]

AT_ONCE = 8
TIMEOUT = 120.0
BACKOFF = Backoff(first=5.0, limit=600.0)
SELDOM = Backoff(first=60.0, limit=3600.0)
"""For what only a person can mend: a Secret, a permission, a file that is not there yet."""
JITTER = 0.2
LONGEST_WAIT = 3600.0
"""Seconds for which a server's word (Retry-After) is taken."""


@dataclass(eq=False)
class _Request:
    """One question about one state of an object."""

    key: Key
    fingerprint: Hashable
    job: Job
    every: float | None = None
    answer: Resolution | None = None
    failures: int = 0
    task: asyncio.Task[None] | None = None
    timer: Timer | None = None

    def cancel(self) -> None:
        for each in (self.task, self.timer):
            if each is not None:
                each.cancel()


class Resolver:
    """At most `at_once` questions at a time, each of at most `timeout` seconds; `notify` hears of every answer."""

    def __init__(
        self,
        *,
        clock: Clock,
        notify: Callable[[Key], None],
        at_once: int = AT_ONCE,
        timeout: float = TIMEOUT,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._notify = notify
        self._chance = chance
        self._timeout = timeout
        self._slots = asyncio.Semaphore(at_once)
        self._requests: dict[Key, _Request] = {}
        self._queue: asyncio.Queue[_Request] = asyncio.Queue()

    def request(self, key: Key, fingerprint: Hashable, job: Job, *, every: float | None = None) -> None:
        """Want an answer for this state of the object; the same state again asks nothing anew."""
        known = self._requests.get(key)
        if known is not None and known.fingerprint == fingerprint:
            return
        self.forget(key)
        request = self._requests[key] = _Request(key, fingerprint, job, every)
        if every is None:
            self._queue.put_nowait(request)
        else:
            self._ask_in(request, every * self._chance())  # so that not all are asked when the operator starts

    def result(self, key: Key, fingerprint: Hashable) -> Resolution | None:
        """Return the answer for this state, a failure that is tried again included."""
        known = self._requests.get(key)
        return known.answer if known is not None and known.fingerprint == fingerprint else None

    def forget(self, key: Key) -> None:
        """Drop the question and its answer, and stop asking."""
        request = self._requests.pop(key, None)
        if request is not None:
            request.cancel()

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                request = await self._queue.get()
                await self._slots.acquire()
                if not self._is_current(request):
                    self._slots.release()
                    continue
                request.task = group.create_task(self._ask(request), name=f"resolve {request.key}")
                request.task.add_done_callback(lambda _: self._slots.release())

    async def _ask(self, request: _Request) -> None:
        answer = await _answer(request, timeout=self._timeout)
        if not self._is_current(request):
            return
        if isinstance(answer, Unresolved):
            request.failures += 1
        else:
            request.failures = 0
        delay = self._pause(request, answer)
        if delay is not None:
            self._ask_in(request, delay)
        if isinstance(answer, Unresolved):
            answer = replace(answer, attempts=request.failures, again=self._moment(delay))
        if answer != request.answer:
            request.answer = answer
            self._notify(request.key)

    def _pause(self, request: _Request, answer: Resolution) -> float | None:
        """Seconds until the next question, None when there is none."""
        even = 1.0 - JITTER + 2 * JITTER * self._chance()
        if isinstance(answer, Unresolved) and not answer.permanent:
            return max(even * BACKOFF.delay(request.failures - 1), min(answer.retry_after or 0.0, LONGEST_WAIT))
        if request.every is not None:
            return even * request.every
        if isinstance(answer, Unresolved) and answer.trouble.reason in MENDED_ELSEWHERE:
            return even * SELDOM.delay(request.failures - 1)
        return None

    def _moment(self, delay: float | None) -> datetime | None:
        return None if delay is None else (self._clock.now() + timedelta(seconds=delay)).replace(microsecond=0)

    def _ask_in(self, request: _Request, delay: float) -> None:
        request.timer = self._clock.call_later(delay, lambda: self._queue.put_nowait(request))

    def _is_current(self, request: _Request) -> bool:
        return self._requests.get(request.key) is request


async def _answer(request: _Request, *, timeout: float) -> Resolution:
    found: list[Known] = []

    async def once() -> Result:
        found.append(await request.job())
        return Result()

    match await attempt(once, timeout=timeout):
        case Result():
            return found[0]
        case TimedOut(seconds):
            said = f"Model {request.key}: expected the source to answer within {seconds:.0f} s; it is tried again"
            return Unresolved(Trouble("SourceTimeout", said), permanent=False)
        case Failed(error) | Terminal(error) | Panicked(error):
            return _unresolved(request.key, error)


def _unresolved(key: Key, error: BaseException) -> Unresolved:
    match error:
        case SourceError():
            found = _because(error.reason, error.message, permanent=not error.retryable)
            return replace(found, retry_after=error.retry_after)
        case GGUFError():
            return _because(error.reason, error.message, permanent=True)
        case KubeError():
            return _because("ClusterError", str(error), permanent=False)
        case OSError():
            return _because("SourceUnreachable", str(error), permanent=False)
    log.error("a source could not be looked at by a bug", model=str(key), exc_info=error)
    said = f"Model {key}: looking at the source failed with {type(error).__name__}; the operator's log has details"
    return _because("ResolveFailed", said, permanent=False)


def _because(reason: str, message: str, *, permanent: bool) -> Unresolved:
    return Unresolved(Trouble(reason_of(reason, otherwise="ResolveFailed"), one_line(message)), permanent)
