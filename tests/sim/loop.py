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
    kept: list[_Gate] = field(default_factory=list)

    def go_on(self) -> None:
        """Run what came due meanwhile, in order."""
        self.stopped = False
        kept, self.kept = self.kept, []
        for gate in kept:
            asyncio.get_running_loop().call_soon(gate.pass_on)


@dataclass(eq=False)
class _Gate:
    """A callback of a process; it waits here while the process is stopped."""

    process: Process
    callback: Callable[..., Any]
    args: tuple[Any, ...]
    context: Context
    handle: asyncio.Handle | None = None

    def __call__(self) -> None:
        if self.process.stopped:
            self.process.kept.append(self)
        else:
            self.callback(*self.args)

    def pass_on(self) -> None:
        """Run after all, unless it was cancelled meanwhile."""
        if self.handle is not None and not self.handle.cancelled():
            self.context.run(self.callback, *self.args)


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
        gate = _gate_of(callback, args, context)
        if gate is None:
            return super().call_soon(callback, *args, context=context)
        gate.handle = super().call_soon(gate, context=gate.context)
        return gate.handle

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        gate = _gate_of(callback, args, context)
        if gate is None:
            return super().call_at(when, callback, *args, context=context)
        timer = super().call_at(when, gate, context=gate.context)
        gate.handle = timer
        return timer

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


def _gate_of(callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None) -> _Gate | None:
    context = copy_context() if context is None else context
    process = context.get(PROCESS)
    return None if process is None else _Gate(process, callback, args, context)
