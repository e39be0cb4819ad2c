"""The processes of hack/controlplane, with a stand-in for its binary: how they start, fail and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hack.controlplane.cluster import Cluster, start, stop
from hack.controlplane.module import ControlPlaneError

from llmkube.local.process import Process

PATIENCE = 20.0
STARTS_TWO = """
import sys
from pathlib import Path
from hack.controlplane.cluster import Cluster, Lifeline

cluster = Cluster(Path(sys.argv[1]), Path(sys.argv[2]), Lifeline())
cluster.run(["etcd"])
cluster.run(["kube-apiserver"])
print("started", flush=True)
sys.stdin.read()
"""


def program(tmp_path: Path, script: str) -> Path:
    written = tmp_path / "program"
    written.write_text(f"#!/bin/sh\n{script}\n")
    written.chmod(0o755)
    return written


def running(directory: Path, name: str) -> Process:
    found = Process.read(directory / f"{name}.pid")
    assert found
    assert found.is_running()
    return found


def test_a_program_that_ends_at_the_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    fails = program(tmp_path, "for i in $(seq 100); do echo line $i; done; exit 3")
    with pytest.raises(ControlPlaneError) as caught:
        start(directory, fails, tied=False)
    first, *rest = str(caught.value).splitlines()
    assert "ended with status 3" in first
    assert ".log" in first
    assert rest[-1] == "line 100"
    assert "line 50" not in rest
    assert not list(directory.glob("*.pid"))


def test_a_control_plane_in_a_directory_that_has_one_is_refused(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, program(tmp_path, "exec sleep 60"), None)
    cluster.run(["etcd"])
    try:
        with pytest.raises(ControlPlaneError, match=r"etcd .*controlplane down"):
            start(tmp_path, cluster.program, tied=False)
        running(tmp_path, "etcd")
    finally:
        cluster.stop()


def test_stopping_ends_what_another_command_started_and_can_be_repeated(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, program(tmp_path, "exec sleep 60"), None)
    cluster.run(["etcd"])
    found = running(tmp_path, "etcd")
    stop(tmp_path)
    assert not found.is_running()
    stop(tmp_path)
    assert cluster.children["etcd"].wait(PATIENCE) == -signal.SIGTERM


def test_a_program_that_does_not_end_is_killed(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, program(tmp_path, "trap '' TERM; echo ready; exec sleep 60"), None)
    cluster.run(["etcd"])
    cluster.wait_until(lambda: "ready" in (tmp_path / "etcd.log").read_text(), "a deaf program")
    cluster.stop(patience=0.1)
    assert cluster.children["etcd"].returncode == -signal.SIGKILL


def test_all_programs_end_with_the_process_that_started_them_even_when_it_is_killed(tmp_path: Path) -> None:
    waits_for_stdin = program(tmp_path, "exec cat")
    launcher = subprocess.Popen(
        [sys.executable, "-c", STARTS_TWO, tmp_path, waits_for_stdin],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with launcher:
        assert launcher.stdout
        assert launcher.stdout.readline() == b"started\n"
        programs = [running(tmp_path, name) for name in ("etcd", "kube-apiserver")]
        launcher.kill()
    assert all(one.wait(PATIENCE) for one in programs)
