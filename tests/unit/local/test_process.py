"""Which process is the supervisor, whatever the pid file says."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from llmkube.local.process import AlreadyRunningError, Process, began, is_locked, only_one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from llmkube.local.process import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for its input to end."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.communicate()


def test_a_process_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    Process.current().write(tmp_path / "pid")
    assert Process.read(tmp_path / "pid") == Process.current()
    assert Process.current().is_running()


def test_the_pid_is_the_first_word_of_the_file(tmp_path: Path) -> None:
    Process.current().write(tmp_path / "pid")
    assert int((tmp_path / "pid").read_text().split()[0]) == os.getpid()


@pytest.mark.parametrize("text", ["", "x", "12", "0 1", "1 1", "-3 5", "99999999999999999999 1", "\x00\xff", "12 "])
def test_a_file_that_names_no_process_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert Process.read(tmp_path / "pid") is None


def test_an_absent_or_binary_file_is_none(tmp_path: Path) -> None:
    assert Process.read(tmp_path / "pid") is None
    (tmp_path / "pid").write_bytes(b"\xff\xfe\x00")
    assert Process.read(tmp_path / "pid") is None


def test_a_pid_that_another_process_has_by_now_is_never_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    earlier = Process(sleeper.pid, "1@another-boot")
    assert not earlier.is_running()
    assert not earlier.send(signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_signal_reaches_the_process_and_its_end_is_waited_for(sleeper: subprocess.Popen[bytes]) -> None:
    process = Process(sleeper.pid, began(sleeper.pid))
    assert not process.wait(0)
    assert process.send(signal.SIGTERM)
    assert process.wait(30)
    assert began(sleeper.pid) == "", "a zombie has ended"


def test_a_second_holder_of_the_lock_is_refused_and_the_first_one_keeps_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with only_one(lock):
        with pytest.raises(AlreadyRunningError, match="llmkube local down"), only_one(lock):
            pytest.fail("two hold the lock")
        assert is_locked(lock)
    assert not is_locked(lock)


def test_a_lock_ends_with_its_holder_also_when_that_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_locked(lock)
        holder.kill()
        holder.wait(30)
    assert not is_locked(lock)


def test_those_who_only_ask_do_not_see_each_other(tmp_path: Path) -> None:
    with only_one(tmp_path / "lock"):
        pass
    with (tmp_path / "lock").open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        assert not is_locked(tmp_path / "lock")


def test_asking_for_a_lock_makes_no_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "lock")
    assert list(tmp_path.iterdir()) == []
