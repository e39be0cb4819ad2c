"""How a fetch tells of itself: JSON lines for the operator, a bar for a person, or only its end."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmkube.models.progress import Progress

LINE_SECONDS = 1.0


def percent(now: Progress) -> int:
    return min(100, now.bytes * 100 // now.total) if now.total else 0


class JsonLines:
    """One object a line on stdout, about once a second, and the last one at the end."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._told = float("-inf")

    def progress(self, now: Progress) -> None:
        if self._clock() - self._told < LINE_SECONDS:
            return
        self._told = self._clock()
        self._tell(
            {
                "event": "progress",
                "bytes": now.bytes,
                "total": now.total,
                "percent": percent(now),
                "bytesPerSecond": int(now.rate),
                "etaSeconds": None if now.eta is None else int(now.eta),
                "file": now.file,
                "files": now.files,
                "waiting": now.waiting,
            }
        )

    def end(self, event: dict[str, Any]) -> None:
        self._tell(event)

    def _tell(self, event: dict[str, Any]) -> None:
        print(json.dumps(event), file=self._stream, flush=True)


class Silent:
    """Nothing but an error, on stderr."""

    def progress(self, now: Progress) -> None:
        """Say nothing."""

    def end(self, event: dict[str, Any]) -> None:
        if event["event"] == "error":
            click.echo(f"error: {event['message']}", err=True)


class Bar:
    """A bar with size, rate and time left on stderr; what came of it on one line."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(30),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
        )
        self._task = self._bars.add_task("fetching", total=None)
        self._bars.start()

    def progress(self, now: Progress) -> None:
        which = f" file {now.file} of {now.files}" if now.files > 1 else ""
        said = "waiting for another fetch" if now.waiting else f"fetching{which}"
        self._bars.update(self._task, completed=now.bytes, total=now.total, description=said)

    def end(self, event: dict[str, Any]) -> None:
        self._bars.stop()
        if event["event"] == "error":
            click.echo(f"error: {event['message']}", err=True)
        else:
            click.echo(f"{event['path']}  sha256 {event['sha256']}  {event['bytes']} bytes")
