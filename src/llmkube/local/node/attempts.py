"""One run of one container on disk: what its shim wrote, whether the shim lives, how to start and signal it.

The files are the truth; the node's memory is only a view of them, so that a killed node finds everything again. A
second copy of a run cannot start: the FIFO whose write end only the shim holds is made before the shim is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.local.node import shim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

RECORD_POLL = 0.005
LOST = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "the process ended while nothing watched it"}


@dataclass(frozen=True)
class Started:
    """A process by pid, its start time in clock ticks and the boot it belongs to: an identity that is never reused."""

    pid: int
    start: int
    boot: str
    at: str

    def signal_group(self, number: signal.Signals) -> None:
        """Signals every process of the group while it is certainly still this one's."""
        found = shim.start_time(self.pid)
        if self.boot == shim.boot_id() and found in {0, self.start}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


@dataclass(frozen=True)
class Ended:
    exit_code: int
    at: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Attempt:
    """Run `number` (0 is the first) of the container whose directory this is."""

    directory: Path
    number: int

    def file(self, suffix: str) -> Path:
        return self.directory / f"{self.number}.{suffix}"

    @property
    def log(self) -> Path:
        return self.file("log")

    @property
    def termination_log(self) -> Path:
        return self.file("termination-log")

    def started(self) -> Started | None:
        record = _read(self.file("started"))
        if record is None:
            return None
        return Started(pid=record["pid"], start=record["start"], boot=record["boot"], at=record["at"])

    def ended(self) -> Ended | None:
        """How it ended; None while the shim lives or when it never started anything."""
        record = _read(self.file("ended"))
        if record is None and (started := _read(self.file("started"))) is not None and not self.alive():
            record = _read(self.file("ended")) or {**LOST, "at": started["at"]}
        if record is None:
            return None
        return Ended(
            exit_code=record["exitCode"],
            at=record["at"],
            reason=record.get("reason", ""),
            message=record.get("message", ""),
        )

    def alive(self) -> bool:
        """Whether the shim of this run lives."""
        try:
            reader = os.open(self.file("alive"), os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        try:
            return os.read(reader, 1) != b""
        except BlockingIOError:
            return True
        finally:
            os.close(reader)

    def launch(self, argv: Sequence[str], *, environ: Mapping[str, str], cwd: Path) -> int:
        """Starts the shim; returns its pid, for reaping only."""
        self.directory.mkdir(parents=True, exist_ok=True)
        fifo = self.file("alive")
        if not fifo.exists():
            os.mkfifo(fifo, 0o600)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        try:
            return _spawn(self, argv, environ=environ, cwd=cwd, liveness=writer)
        finally:
            os.close(writer)
            os.close(reader)

    async def recorded(self) -> Started | None:
        """Waits until the shim has put its process on record; None when it died before. Bounded by the shim's life."""
        while (started := self.started()) is None and self.alive():  # noqa: ASYNC110 - another process writes the file
            await asyncio.sleep(RECORD_POLL)
        return started or self.started()

    async def gone(self) -> None:
        """Returns when the shim is gone: the FIFO's only writer closed it."""
        loop = asyncio.get_running_loop()
        try:
            reader = os.open(self.file("alive"), os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        closed = asyncio.Event()
        loop.add_reader(reader, closed.set)
        try:
            while not _at_end(reader):
                closed.clear()
                await closed.wait()
        finally:
            loop.remove_reader(reader)
            os.close(reader)


def latest(directory: Path) -> Attempt | None:
    """The last run that was begun, if any was."""
    numbers = [int(path.stem) for path in directory.glob("*.alive") if path.stem.isdigit()]
    return Attempt(directory, max(numbers)) if numbers else None


def forget_before(attempt: Attempt) -> None:
    """Keeps this run and the one before it (`logs --previous`)."""
    for path in attempt.directory.iterdir():
        number = path.name.partition(".")[0]
        if number.isdigit() and int(number) < attempt.number - 1:
            path.unlink(missing_ok=True)


def reap(pid: int) -> None:
    """Takes a shim that has ended off the process table; a shim of an earlier node is init's."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _at_end(reader: int) -> bool:
    try:
        return os.read(reader, 1) == b""
    except BlockingIOError:
        return False


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return record


def _spawn(attempt: Attempt, argv: Sequence[str], *, environ: Mapping[str, str], cwd: Path, liveness: int) -> int:
    record = str(attempt.directory / str(attempt.number))
    command = [sys.executable, "-I", "-S", shim.__file__, record, str(attempt.log), "3", str(cwd), "--", *argv]
    return os.posix_spawn(
        sys.executable,
        command,
        dict(environ),
        file_actions=[
            (os.POSIX_SPAWN_DUP2, liveness, 3),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
        setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE],
        setsigmask=[],
    )
