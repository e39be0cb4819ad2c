"""What `llmkube local` itself promises: up, down, status and reset, in any order, also after a crash."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.component.local.local_mode import LLMKUBE, LocalMode, until

from llmkube.local.process import Process

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def fresh() -> Iterator[LocalMode]:
    """A home in which nothing has run yet."""
    with tempfile.TemporaryDirectory(prefix="llmkube-test-") as home:
        mode = LocalMode(Path(home))
        try:
            yield mode
        finally:
            mode.llmkube("local", "reset", "--yes", check=False)


def supervisor(local: LocalMode) -> Process:
    found = Process.read(local.home / "local" / "supervisor.pid")
    assert found is not None
    return found


def operator_of(local: LocalMode) -> str:
    """The identity of the operator's process."""
    (pod,) = local.items("api/v1/namespaces/llmkube-system/pods")
    identity: str = pod["status"]["containerStatuses"][0]["containerID"]
    return identity


def pids_of(local: LocalMode) -> list[str]:
    """Every process that names this home in its arguments or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(local.home).encode() in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_up_tells_what_to_do_next_and_a_second_up_changes_nothing(local: LocalMode) -> None:
    before = supervisor(local)
    again = local.llmkube("local", "up")
    assert "already running" in again.stdout
    assert str(local.kubeconfig) in again.stdout
    assert supervisor(local) == before


def test_nobody_else_can_read_what_opens_the_api(local: LocalMode) -> None:
    for name in ("kubeconfig", "token", "supervisor.log"):
        assert stat.S_IMODE((local.home / "local" / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((local.home / "local").stat().st_mode) == 0o700


def test_the_token_is_in_no_process_and_no_log(local: LocalMode) -> None:
    token = (local.home / "local" / "token").read_text().strip()
    assert len(token) >= 32
    assert token not in "".join(pids_of(local))
    assert token not in (local.home / "local" / "supervisor.log").read_text()
    assert token not in json.dumps(local.items("apis/apps/v1/deployments"))


def test_status_is_for_people_and_for_programs(local: LocalMode) -> None:
    told = json.loads(local.llmkube("local", "status", "-o", "json").stdout)
    assert told["running"] is True
    assert told["operator"] == "available"
    assert [pod["namespace"] for pod in told["pods"] if pod["ready"]] == ["llmkube-system"]
    assert "llmkube-operator" in local.llmkube("local", "status").stdout


def test_the_port_of_a_control_plane_that_runs_is_not_changed_under_it(local: LocalMode) -> None:
    done = local.llmkube("local", "up", "--port", "1", check=False)
    assert done.returncode == 1
    assert "already runs on port" in done.stderr


def test_sigterm_leaves_the_pods_and_the_next_up_has_the_same_address(local: LocalMode) -> None:
    kubeconfig, operator, before = local.kubeconfig.read_text(), operator_of(local), supervisor(local)
    assert before.send(signal.SIGTERM)
    assert before.wait(30)
    assert local.llmkube("local", "status", check=False).returncode == 1
    local.llmkube("local", "up")
    assert local.kubeconfig.read_text() == kubeconfig
    assert operator_of(local) == operator


def test_down_after_a_crash_stops_what_the_crash_left(local: LocalMode) -> None:
    before = supervisor(local)
    assert before.send(signal.SIGKILL)
    assert before.wait(30)
    assert any("operator" in line for line in pids_of(local))
    done = local.llmkube("local", "down")
    assert "llmkube-system/llmkube-operator" in done.stdout
    assert pids_of(local) == []
    assert "not running" in local.llmkube("local", "down").stdout
    local.llmkube("local", "up")


def test_up_while_the_control_plane_is_ending_starts_it_again(local: LocalMode) -> None:
    before = supervisor(local)
    assert before.send(signal.SIGTERM)
    local.llmkube("local", "up")
    assert not before.is_running()
    assert json.loads(local.llmkube("local", "status", "-o", "json").stdout)["operator"] == "available"


def test_two_ups_at_once_make_one_control_plane(fresh: LocalMode) -> None:
    with concurrent.futures.ThreadPoolExecutor() as threads:
        done = list(threads.map(lambda _: fresh.llmkube("local", "up"), range(2)))
    assert all(str(fresh.kubeconfig) in each.stdout for each in done)
    assert len([line for line in pids_of(fresh) if "--foreground" in line]) == 1


def test_ctrl_c_in_the_foreground_stops_the_pods_too(fresh: LocalMode) -> None:
    command = [*LLMKUBE, "local", "up", "--foreground"]
    with subprocess.Popen(command, env=fresh.environment, stderr=subprocess.PIPE) as foreground:
        until((fresh.home / "local" / "supervisor.pid").exists, bool)  # or the second one would be the first
        fresh.llmkube("local", "up")
        foreground.send_signal(signal.SIGINT)
        _, told = foreground.communicate(timeout=60)
    assert foreground.returncode == 0, told.decode()
    assert pids_of(fresh) == []


def test_a_pid_file_of_an_earlier_boot_hinders_nothing_and_nobody_is_signalled(fresh: LocalMode) -> None:
    (fresh.home / "local").mkdir()
    Process(os.getpid(), "1@earlier").write(fresh.home / "local" / "supervisor.pid")
    assert "not running" in fresh.llmkube("local", "down").stdout
    assert fresh.llmkube("local", "status", check=False).returncode == 1


def test_a_taken_port_is_one_line_that_says_so(fresh: LocalMode) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = fresh.llmkube("local", "up", "--port", port, check=False)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} is taken" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_made_is_one_line_that_names_it(fresh: LocalMode) -> None:
    (fresh.home / "local").write_text("a file")
    done = fresh.llmkube("local", "up", check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert str(fresh.home / "local") in line
    (fresh.home / "local").unlink()


def test_reset_asks_first_and_leaves_nothing(fresh: LocalMode) -> None:
    fresh.llmkube("local", "up")
    refused = fresh.llmkube("local", "reset", check=False, stdin="n\n")
    assert refused.returncode == 1
    assert supervisor(fresh).is_running()
    fresh.llmkube("local", "reset", "--yes")
    assert not (fresh.home / "local").exists()
    assert pids_of(fresh) == []


def test_two_homes_are_two_control_planes(local: LocalMode, fresh: LocalMode) -> None:
    fresh.llmkube("local", "up")
    servers = {mode.kubeconfig.read_text() for mode in (local, fresh)}
    assert len(servers) == 2
    fresh.llmkube("local", "down")
    assert operator_of(local)
    until(lambda: pids_of(fresh), lambda found: found == [])
