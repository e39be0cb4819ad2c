"""Starts and stops the four programs in a directory: their files, logs and pids lie there, and admin.kubeconfig.

with started(directory) as cluster:      # ends with the block, and with this process however it ends
    use(cluster.kubeconfig)
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hack.controlplane import programs
from hack.controlplane.binary import binary
from hack.controlplane.certificates import write_all
from hack.controlplane.module import ControlPlaneError
from hack.controlplane.reach import Server, reserved_port
from hack.gobuild import last_lines

from llmkube.local.process import Process, began

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_PATIENCE = 120.0
STOP_PATIENCE = 15.0
TICK = 0.05
STOP_ORDER = (
    (programs.SCHEDULER, programs.CONTROLLERS),
    (programs.APISERVER,),
    (programs.ETCD,),
)
NAMES = tuple(name for group in STOP_ORDER for name in group)
DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


@dataclass(slots=True)
class Cluster:
    """A control plane that this process started."""

    directory: Path
    program: Path
    lifeline: Lifeline | None
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        """The file with which everything is allowed."""
        return self.directory / "admin.kubeconfig"

    def run(self, arguments: list[str]) -> None:
        """Start a program; its name is its first argument."""
        name = arguments[0]
        tie = ["--while-stdin-is-open"] if self.lifeline else []
        with (self.directory / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                [self.program, *tie, *arguments],
                cwd=self.directory,
                stdin=self.lifeline.end if self.lifeline else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt at the terminal is for us: we end them in order
            )
        self.children[name] = child
        Process(child.pid, began(child.pid)).write(_pid(self.directory, name))

    def check(self) -> None:
        """Raise when a program has ended."""
        for name, child in self.children.items():
            if (status := child.poll()) is not None:
                log = self.directory / f"{name}.log"
                said = last_lines(log.read_text(errors="replace"))
                raise ControlPlaneError(f"{name} ended with status {status}; the end of {log}:\n{said}")

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something to hold while all programs run."""
        deadline = time.monotonic() + START_PATIENCE
        while not holds():
            self.check()
            if time.monotonic() > deadline:
                raise ControlPlaneError(
                    f"{self.directory}: {what} is not there after {START_PATIENCE:.0f} s, see its logs"
                )
            time.sleep(TICK)
        self.check()

    def watch(self) -> None:
        """Go on until a program ends, which raises."""
        while True:
            self.check()
            time.sleep(1)

    def stop(self, patience: float = STOP_PATIENCE) -> None:
        """End every program, and collect it."""
        stop(self.directory, patience)
        for child in self.children.values():
            child.wait()
        if self.lifeline:
            self.lifeline.cut()


class Lifeline:
    """A pipe nobody writes to: what reads it learns that this process has ended, even by SIGKILL."""

    def __init__(self) -> None:
        self.end, self._ours = os.pipe()

    def cut(self) -> None:
        """Close both ends."""
        os.close(self.end)
        os.close(self._ours)


@contextmanager
def temporary(version: str | None = None) -> Iterator[Cluster]:
    """A control plane in a directory of its own for the length of the block; built if it never was."""
    program = binary(version)
    with TemporaryDirectory(prefix="controlplane-") as directory, started(Path(directory), program) as cluster:
        yield cluster


@contextmanager
def started(directory: Path, program: Path) -> Iterator[Cluster]:
    """A control plane for the length of the block."""
    cluster = start(directory, program, tied=True)
    try:
        yield cluster
    finally:
        cluster.stop()


def start(directory: Path, program: Path, *, tied: bool) -> Cluster:
    """Start a control plane and return once it answers; tied: it ends when this process does."""
    if running := [name for name in NAMES if is_running(directory, name)]:
        raise ControlPlaneError(
            f"{directory}: {', '.join(running)} already there; stop it with `controlplane down {directory}`"
        )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    cluster = Cluster(directory.resolve(), program, Lifeline() if tied else None)
    try:
        _start(cluster)
    except BaseException:
        cluster.stop(patience=0)  # nothing here is worth an end in good order
        raise
    return cluster


def _start(cluster: Cluster) -> None:
    with reserved_port(programs.ADDRESS) as port:
        server = Server(cluster.directory, f"https://{programs.ADDRESS}:{port}")
        write_all(cluster.directory, server.url)
        (cluster.directory / "etcd.yaml").write_text(programs.etcd_config())
        (cluster.directory / "audit.yaml").write_text(programs.audit_policy())
        _start_etcd(cluster)
        cluster.run(programs.apiserver(port))
        cluster.wait_until(lambda: server.answers("/readyz"), "a ready kube-apiserver")
    cluster.run(programs.controllers())
    cluster.run(programs.scheduler())
    cluster.wait_until(lambda: server.answers(DEFAULT_ACCOUNT), "a working kube-controller-manager")


def _start_etcd(cluster: Cluster) -> None:
    """Start etcd and wait for it: kube-apiserver tries again only a second after it did not find it."""
    socket = cluster.directory / programs.CLIENTS_SOCKET
    socket.unlink(missing_ok=True)
    cluster.run(programs.etcd())
    cluster.wait_until(socket.exists, "etcd's socket")


def stop(directory: Path, patience: float = STOP_PATIENCE) -> None:
    """End the programs that run in a directory: first those that use the others."""
    for group in STOP_ORDER:
        found = {name: one for name in group if (one := Process.read(_pid(directory, name)))}
        for one in found.values():
            one.send(signal.SIGTERM)
        for name, one in found.items():
            if not one.wait(patience):
                one.send(signal.SIGKILL)
                one.wait(STOP_PATIENCE)
            _pid(directory, name).unlink(missing_ok=True)


def is_running(directory: Path, name: str) -> bool:
    """Whether a program runs in a directory."""
    found = Process.read(_pid(directory, name))
    return bool(found and found.is_running())


def _pid(directory: Path, name: str) -> Path:
    return directory / f"{name}.pid"
