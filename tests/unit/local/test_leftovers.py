"""Processes that a killed supervisor left: found, ended in order, or by force when they do not listen."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from llmkube.local.leftovers import left, stop_left
from llmkube.local.node.attempts import Attempt, reap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OBEDIENT = "import sys; print('up', flush=True); sys.stdin.close(); import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str, str], Attempt]]:
    """Starts a program as a container of a pod, under a shim, and waits until it has said that it is up."""
    shims: list[int] = []

    def run(pod: str, program: str) -> Attempt:
        attempt = Attempt(tmp_path / pod / "main", 0)
        shims.append(attempt.launch([sys.executable, "-c", program], environ=dict(os.environ), cwd=tmp_path))
        while not attempt.log.exists() or b"up" not in attempt.log.read_bytes():
            assert attempt.alive()
        return attempt

    yield run
    for shim in shims:
        reap(shim)


def test_where_no_pod_ever_ran_nothing_is_left(tmp_path: Path) -> None:
    assert left(tmp_path / "absent") == []


async def test_what_is_left_is_asked_to_end_and_its_exit_code_is_kept(
    tmp_path: Path, start: Callable[[str, str], Attempt]
) -> None:
    attempt = start("default_one_uid", OBEDIENT)
    assert left(tmp_path) == [attempt]
    assert await stop_left(tmp_path) == 1
    assert left(tmp_path) == []
    ended = attempt.ended()
    assert ended is not None
    assert ended.exit_code == 128 + 15


async def test_what_does_not_listen_is_ended_by_force(tmp_path: Path, start: Callable[[str, str], Attempt]) -> None:
    polite, deaf = start("default_polite_uid", OBEDIENT), start("default_deaf_uid", DEAF)
    assert await stop_left(tmp_path, grace=0.3) == 2
    codes = {attempt.directory.parent.name: ended.exit_code for attempt in (polite, deaf) if (ended := attempt.ended())}
    assert codes == {"default_polite_uid": 143, "default_deaf_uid": 137}
