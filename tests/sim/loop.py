"""An event loop whose time is a number: nothing waits, and the same program runs the same way again.

When no callback is ready, time jumps to the next timer. Callbacks belong to the process (a simulated one) that
scheduled them, so that a process can be stopped (SIGSTOP): its callbacks are kept, and run when it goes on, while time
passes for everybody.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(eq=False)
class Process:
    """Whose callbacks they are; `skew` is how far its wall clock is off, in seconds."""

    name: str
    skew: float = 0.0
    stopped: bool = False
    dead: bool = False
    kept: list[Callable[[], None]] = field(default_factory=list)

    def go_on(self) -> None:
        """Run what came due meanwhile, in order."""
        self.stopped = False
        kept, self.kept = self.kept, []
        for callback in kept:
            asyncio.get_running_loop().call_soon(callback)


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class DeadlockError(Exception):
    """Nothing is ready and nothing is due: everybody waits for ever."""


class _NoWaiting(selectors.BaseSelector):
    """What the loop asks for I/O: there is none, and waiting is a jump in time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise DeadlockError
        self._loop.now += max(timeout, 0.0)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> Any:
        return None

    def unregister(self, fileobj: Any) -> Any:
        return None

    def get_map(self) -> dict[Any, Any]:
        return {}


class NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set is the same in every run."""

    _numbers = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(NumberedTask._numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.BaseEventLoop):
    """`now` is monotonic seconds since the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._selector = _NoWaiting(self)
        self._clock_resolution = 1e-9
        self.set_task_factory(_numbered)
        NumberedTask._numbers = itertools.count()

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        return super().call_soon(*_gated(callback, args, context), context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_at(when, *_gated(callback, args, context), context=context)

    def _process_events(self, event_list: Any) -> None:
        """There are no I/O events."""

    def _write_to_self(self) -> None:
        """There are no other threads."""


class SimulatedClock:
    """runtime/clock.py's Clock in virtual time; the time of day is off by the process's skew."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.monotonic() + self._process.skew)

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay, callback)


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run to the end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


def task_of(process: Process, main: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a task whose callbacks, and those of what it starts, are this process's."""
    context = copy_context()
    context.run(PROCESS.set, process)
    return asyncio.get_running_loop().create_task(main, context=context)


def _numbered(loop: Any, coroutine: Any, **kwargs: Any) -> NumberedTask:
    return NumberedTask(coroutine, loop=loop, **kwargs)


def _gated(callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None) -> tuple[Any, ...]:
    process = PROCESS.get() if context is None else context.get(PROCESS)
    return (callback, *args) if process is None else (_gate, process, callback, args)


def _gate(process: Process, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if process.stopped:
        process.kept.append(lambda: callback(*args))
    else:
        callback(*args)
