"""Shows views of objects as they change: rows that move on a terminal, one line per phase anywhere else.

Writes to stderr only, so that stdout stays what the command was asked to print.
"""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TextIO

from llmkube.cli.view import View, changed, said

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.progress import Progress, TaskID

BAR = 24


class Display(AbstractContextManager["Display"], Protocol):
    """Is told of every change, in order."""

    def show(self, old: View | None, new: View) -> None:
        """Tell of an object that was `old` and now is `new`."""


class Lines(Display):
    """One line for each phase that an object enters, with the seconds since the start: for logs and pipes."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._started = clock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()

    def show(self, old: View | None, new: View) -> None:
        """Write a line when there is something new to say."""
        if changed(old, new):
            print(line(new, elapsed=self._clock() - self._started), file=self._stream, flush=True)


class Rows(Display):
    """A row for each object, with a bar and a clock, redrawn in place."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress: Progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(BAR, pulse_style="bar.back"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            console=Console(file=stream),
        )
        self._rows: dict[tuple[str, str, str], TaskID] = {}

    def __enter__(self) -> Rows:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, old: View | None, new: View) -> None:
        """Redraw the row of an object."""
        key = (new.kind, new.namespace, new.name)
        if key not in self._rows:
            self._rows[key] = self._progress.add_task(new.reference, total=None, said="")
        row, percent = self._rows[key], _percent(new)
        self._progress.update(row, total=None if percent is None else 100, said=said(new))
        self._progress.update(row, completed=percent or 0)
        if new.state == "failed":
            self._progress.stop_task(row)


def display(stream: TextIO | None = None) -> Display:
    """Return the display that suits where it is written to."""
    chosen = stream or sys.stderr
    return Rows(chosen) if chosen.isatty() else Lines(chosen)


def line(view: View, *, elapsed: float) -> str:
    """Return the line that says where an object is."""
    return f"{elapsed:6.1f}s  {view.reference}: {said(view)}"


def _percent(view: View) -> int | None:
    """Return how much of the bar is filled; all of it, which ends the row, only when the object is ready."""
    if view.state == "ready":
        return 100
    progress = view.status.progress
    return min(progress.percent, 99) if progress is not None and view.phase == "Downloading" else None
