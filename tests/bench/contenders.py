"""Who makes 1,000 InferenceServices into Deployments and Services: LLMKube, and the peers that are held against it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 60.0


class Command:
    """A program of its own: `running(namespace)` is the time in which it works on the services of that namespace."""

    def __init__(self, name: str, arguments: list[str], log: Path, **environment: str) -> None:
        self.name = name
        self._arguments = arguments
        self._log = log
        self._environment = {**os.environ, **environment}

    @asynccontextmanager
    async def running(self, namespace: str) -> AsyncIterator[subprocess.Popen[bytes]]:
        words = [each.replace("@NAMESPACE@", namespace) for each in self._arguments]
        with self._log.open("ab") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, env=self._environment)
        try:
            yield process
            assert process.poll() is None, f"{self.name} ended: {self._log.read_text()[-2000:]}"
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, PATIENCE)


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    """Seconds of CPU that a process has used (Linux)."""
    words = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def llmkube(kubeconfig: Path, log: Path) -> Command:
    """The operator as it is delivered, in one namespace."""
    words = [sys.executable, "-m", "llmkube", "operator", "--kubeconfig", str(kubeconfig), "--namespace", "@NAMESPACE@"]
    words += ["--no-leader-elect", "--health-port", "-1", "--source-allow", "127.0.0.0/8", "--log-level", "warning"]
    return Command("llmkube", words, log)


def bare(kubeconfig: Path, log: Path, templates: Path, *, at_once: int, spent: int = 0) -> Command:
    """Nothing but the writes, and so many milliseconds of CPU wasted on each service."""
    words = [sys.executable, "-m", "tests.bench.bare", "--kubeconfig", str(kubeconfig), "--namespace", "@NAMESPACE@"]
    words += ["--templates", str(templates), "--at-once", str(at_once), "--spent", str(spent)]
    return Command(f"bare client, {at_once} at once" + (f", {spent} ms slower" if spent else ""), words, log)


def controller_runtime(kubeconfig: Path, log: Path, templates: Path, *, workers: int) -> Command:
    """The Go program in peer/, built when it is not there."""
    binary = HERE.parents[1] / "build" / "bench-peer"
    subprocess.run(["go", "build", "-o", str(binary), "."], cwd=HERE / "peer", check=True)
    words = [str(binary), "--namespace", "@NAMESPACE@", "--workers", str(workers), "--templates", str(templates)]
    return Command(f"controller-runtime, {workers} workers", words, log, KUBECONFIG=str(kubeconfig))


def kopf(kubeconfig: Path, log: Path, templates: Path) -> Command:
    """kopf with its defaults."""
    words = [sys.executable, "-m", "kopf", "run", str(HERE / "kopf_peer.py"), "--namespace", "@NAMESPACE@", "--quiet"]
    return Command("kopf", [*words, "--standalone"], log, KUBECONFIG=str(kubeconfig), TEMPLATES=str(templates))
