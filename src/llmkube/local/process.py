"""Which process is the supervisor: one at a time by a lock, told to others by a file that a re-used pid cannot fool.

The lock decides who may run; the file only says who does. Signals go to the very process that wrote the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator

PRIVATE = 0o600
TICK = 0.05
PATIENCE = 0.5


class CannotRunError(Exception):
    """The supervisor cannot run, for a reason that a person can mend; the message is one line."""


class AlreadyRunningError(CannotRunError):
    """Another process holds the lock."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine: a pid alone may be another's by now, a pid that began at that moment is not."""

    pid: int
    began: str

    @classmethod
    def current(cls) -> Process:
        """Return this process."""
        return cls(os.getpid(), began(os.getpid()))

    @classmethod
    def read(cls, file: Path) -> Process | None:
        """Return what `write` wrote; None where there is nothing readable."""
        try:
            pid, _, moment = file.read_text().strip().partition(" ")
        except (OSError, UnicodeDecodeError):
            return None
        return cls(int(pid), moment) if pid.isdecimal() and len(pid) < 10 and int(pid) > 1 and moment else None

    def write(self, file: Path) -> None:
        """Put `PID BEGAN` into the file, whole or not at all."""
        fresh = file.with_name(f"{file.name}.new")
        fresh.write_text(f"{self.pid} {self.began}\n")
        fresh.replace(file)

    def is_running(self) -> bool:
        """Whether it is still there; a zombie is not."""
        return bool(self.began) and began(self.pid) == self.began

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; whether there was somebody to get it."""
        if not self.is_running():
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False

    def wait(self, seconds: float) -> bool:
        """Wait at most so long for its end; whether it ended."""
        deadline = time.monotonic() + seconds
        while self.is_running():
            if time.monotonic() >= deadline:
                return False
            time.sleep(TICK)
        return True


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold the lock for the length of the block; AlreadyRunningError where another process does.

    The kernel lets go of it when this process ends, however it ends; its children do not inherit it.
    """
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        if not _locks(handle, fcntl.LOCK_EX, patience=PATIENCE):
            raise AlreadyRunningError(
                f"{lock}: another process runs local mode in this home; stop it with `llmkube local down`, "
                "or name another home with LLMKUBE_HOME"
            )
        yield
    finally:
        os.close(handle)


def is_locked(lock: Path) -> bool:
    """Whether some process holds the lock."""
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _locks(handle, fcntl.LOCK_SH, patience=0)
    finally:
        os.close(handle)


def _locks(handle: int, kind: int, *, patience: float) -> bool:
    """Whether the lock could be had. A moment's patience, because whoever only asks holds it for a moment."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(TICK)
        else:
            return True


def began(pid: int) -> str:
    """Return when a process began, in words that no other process with its pid can have; empty where there is none."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            state, *fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if state in {"Z", "X"} else f"{fields[18]}@{boot()}"
    return _began_by_ps(pid)


def boot() -> str:
    """Return what this boot of the machine is called: ticks since boot mean nothing after another."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _began_by_ps(pid: int) -> str:
    asked = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False, env={"LC_ALL": "C"})
    except (OSError, subprocess.TimeoutExpired):
        return ""
    state, *moment = told.stdout.split() or [""]
    return "" if state.startswith("Z") else "-".join(moment)
