"""Processes of pods whose supervisor is gone: found by what their shims wrote, and stopped without one.

For `local down` and `local reset` after a crash; only to be used while holding the supervisor's lock.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from llmkube.local.node import attempts
from llmkube.local.node.pod import end_processes

if TYPE_CHECKING:
    from pathlib import Path

    from llmkube.local.node.attempts import Attempt

GRACE = 30.0


def left(pods: Path) -> list[Attempt]:
    """Return the runs whose shims live."""
    containers = [path for path in pods.glob("*/*") if path.is_dir() and not path.name.startswith(".")]
    found = [attempts.latest(path) for path in sorted(containers)]
    return [each for each in found if each is not None and each.alive()]


async def stop_left(pods: Path, *, grace: float = GRACE) -> int:
    """Stop them: SIGTERM, and SIGKILL after the grace in seconds. Returns how many there were."""
    running = left(pods)
    try:
        async with asyncio.timeout(grace), asyncio.TaskGroup() as group:
            for each in running:
                group.create_task(_terminate(each))
    except TimeoutError:
        for directory in {each.directory.parent for each in running}:
            await end_processes(directory)
    return len(running)


async def _terminate(attempt: Attempt) -> None:
    started = await attempt.recorded()
    if started is not None:
        started.signal_group(signal.SIGTERM)
    await attempt.gone()
