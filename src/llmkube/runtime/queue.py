"""The work queue: which keys want to be reconciled, when, and in which order.

Three sets, after client-go's workqueue and controller-runtime's priority queue: a key is *dirty* when it wants work,
*processing* while a worker has it, *delayed* until a moment. A key is in each of them at most once, and one key is
never given to two workers: what is added while it is processing waits for done(). Within a priority, first come first
served.

All but get() is plain `def`, so that an informer's handlers are atomic. The queue must never do I/O or read a clock of
its own. Nothing is kept over a restart: what is queued is a hint, the truth is in the cluster.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from llmkube.runtime.clock import Clock, Timer

K = TypeVar("K", bound=Hashable)

LOW_PRIORITY = -100
"""For keys that no change asked for: what the initial list has as it was left, and resyncs."""


class QueueShutDownError(Exception):
    """There is no more work to be had."""


class Statistics(NamedTuple):
    """One moment of a queue; times in seconds."""

    ready: int
    processing: int
    delayed: int
    failing: int
    unfinished_seconds: float
    longest_running_seconds: float


class QueueObserver(Protocol):
    """Whoever counts what happens to a queue."""

    def added(self) -> None: ...
    def retried(self) -> None: ...
    def taken(self, waited: float) -> None: ...
    def finished(self, worked: float) -> None: ...


class NoObserver:
    """Counts nothing."""

    def added(self) -> None: ...
    def retried(self) -> None: ...
    def taken(self, waited: float) -> None: ...
    def finished(self, worked: float) -> None: ...


@dataclass(frozen=True)
class Backoff:
    """Exponential, per key: `first` seconds, doubled with each failure up to `limit`."""

    first: float = 0.005
    limit: float = 300.0

    def delay(self, failures: int) -> float:
        return float(min(self.first * 2.0 ** min(failures, 63), self.limit))


class _Want(NamedTuple):
    priority: int
    since: float


class _Delayed(NamedTuple):
    priority: int
    timer: Timer


class WorkQueue(Generic[K]):
    """Keys in, keys out; see the module's docstring for what holds."""

    def __init__(self, clock: Clock, *, backoff: Backoff | None = None, observer: QueueObserver | None = None) -> None:
        self.observer: QueueObserver = observer or NoObserver()
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._dirty: dict[K, _Want] = {}
        self._processing: dict[K, float] = {}
        self._delayed: dict[K, _Delayed] = {}
        self._failures: dict[K, int] = {}
        self._heap: list[tuple[int, int, K]] = []
        self._sequence = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._shut_down = False

    def add(self, key: K, priority: int = 0) -> None:
        """Wants work on the key now; a delayed add of the same key has become pointless."""
        if self._shut_down:
            return
        if delayed := self._delayed.pop(key, None):
            delayed.timer.cancel()
            priority = max(priority, delayed.priority)
        known = self._dirty.get(key)
        if known is None:
            self.observer.added()
            self._dirty[key] = _Want(priority, self._clock.monotonic())
        elif known.priority < priority:
            self._dirty[key] = known._replace(priority=priority)
        else:
            return
        if key not in self._processing:
            self._push(key)

    def add_after(self, key: K, delay: float, priority: int = 0) -> None:
        """Wants work on the key in `delay` seconds, or earlier when it is added again."""
        if self._shut_down:
            return
        if delay <= 0 or key in self._dirty:
            self.add(key, priority)
            return
        timer = self._clock.call_later(delay, lambda: self._add_delayed(key))
        if known := self._delayed.get(key):
            priority = max(priority, known.priority)
            # by the timers' own time: the clock goes on while the machine is suspended, and they do not
            timer, later = (known.timer, timer) if known.timer.when() <= timer.when() else (timer, known.timer)
            later.cancel()
        self._delayed[key] = _Delayed(priority, timer)

    def add_rate_limited(self, key: K, priority: int = 0, *, not_before: float = 0.0) -> None:
        """Wants work on the key after its back-off, which grows until forget(), and not in less than `not_before`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.observer.retried()
        self.add_after(key, max(self._backoff.delay(failures), min(not_before, self._backoff.limit)), priority)

    def forget(self, key: K) -> None:
        """The key is well again: its back-off starts anew."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How many times in a row the key was added with back-off."""
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """Waits for a key and hands it to this caller alone, until done(); raises QueueShutDownError."""
        while (key := self._pop()) is None:
            await self._wait()
        now = self._clock.monotonic()
        self.observer.taken(now - self._dirty.pop(key).since)
        self._processing[key] = now
        return key

    def done(self, key: K) -> None:
        """The caller of get() has finished with the key."""
        self.observer.finished(self._clock.monotonic() - self._processing.pop(key))
        if key in self._dirty:
            self._push(key)

    def shut_down(self) -> None:
        """No key comes out any more, and none goes in; what is processing may finish."""
        self._shut_down = True
        for delayed in self._delayed.values():
            delayed.timer.cancel()
        self._delayed.clear()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def statistics(self) -> Statistics:
        now = self._clock.monotonic()
        running = [now - started for started in self._processing.values()]
        return Statistics(
            ready=len(self._dirty),
            processing=len(running),
            delayed=len(self._delayed),
            failing=len(self._failures),
            unfinished_seconds=sum(running),
            longest_running_seconds=max(running, default=0.0),
        )

    def _add_delayed(self, key: K) -> None:
        self.add(key, self._delayed.pop(key).priority)

    def _push(self, key: K) -> None:
        """A raised priority pushes again; the older entry is skipped when it comes out."""
        self._sequence += 1
        heapq.heappush(self._heap, (-self._dirty[key].priority, self._sequence, key))
        self._wake_one()

    def _pop(self) -> K | None:
        if self._shut_down:
            raise QueueShutDownError
        while self._heap:
            negated, _, key = heapq.heappop(self._heap)
            want = self._dirty.get(key)
            if want is not None and want.priority == -negated and key not in self._processing:
                return key
        return None

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and self._heap:
                self._wake_one()  # this one was woken for a key that it will not take
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
