"""How `llmkube local down` ends everything, also what a crash left behind, and says what it stopped."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from llmkube.cli.errors import CommandError, TimedOutError
from llmkube.cli.local_start import saying
from llmkube.local.leftovers import left, stop_left
from llmkube.local.process import Process, is_locked, only_one
from llmkube.local.supervisor import STOP_PODS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.local.home import Home

STARTING = 5.0
TICK = 0.05


def stop_all(home: Home, *, timeout: float) -> Iterator[str]:
    """Stop pods and control plane within `timeout` seconds; yields a line for each thing that was stopped."""
    if not home.local.exists() or not (is_locked(home.supervisor_lock) or left(home.pods)):
        yield "local mode is not running"
        return
    pods = names(home)
    if is_locked(home.supervisor_lock):
        stop_supervisor(home, timeout)
    with only_one(home.supervisor_lock):
        asyncio.run(stop_left(home.pods))
    yield from (f"pod {name} stopped" for name in pods)
    yield "local mode is down"


def stop_supervisor(home: Home, timeout: float) -> None:
    """Ask it to stop its pods and end; TimedOutError when it is still at it."""
    process = supervisor(home)
    with saying() as say:
        say("stopping the pods")
        process.send(STOP_PODS)
        if not process.wait(timeout):
            raise TimedOutError(
                f"still stopping after {timeout:.0f} s: {', '.join(names(home)) or 'the control plane'}; "
                f"wait with `llmkube local down`, see {home.supervisor_log}"
            )


def supervisor(home: Home) -> Process:
    """Return the process that holds the lock; a moment passes between its taking the lock and its saying who it is."""
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline:
        process = Process.read(home.supervisor_pid)
        if process is not None and process.is_running():
            return process
        time.sleep(TICK)
    raise CommandError(
        f"{home.supervisor_lock} is held, but {home.supervisor_pid} names no process that runs: "
        "find out who holds it, for example with lsof, and end that"
    )


def names(home: Home) -> list[str]:
    """Return the pods that have a process, as namespace/name."""
    directories = {each.directory.parent.name for each in left(home.pods)}
    return sorted("/".join(name.split("_")[:2]) for name in directories)
