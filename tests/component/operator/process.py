"""`llmkube operator` as a process of its own, with its log and its metrics."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

WRITES = ("POST", "PUT", "PATCH", "DELETE")
PATIENCE = 30.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Operator:
    """One operator; `with` starts it and ends it as a kubelet does."""

    def __init__(self, kubeconfig: Path, log: Path, *flags: str) -> None:
        self.log = log
        self.port = free_port()
        command = [sys.executable, "-m", "llmkube", "operator", "--kubeconfig", str(kubeconfig), *flags]
        command += ["--health-host", "127.0.0.1", "--health-port", str(self.port), "--source-allow", "127.0.0.0/8"]
        self._command = command
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Operator:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=_environment())
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE + 10)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def until_ready(self) -> None:
        """Wait for synced caches."""
        self.until(lambda: self.page("/readyz") != "")

    def until(self, holds: object) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():  # type: ignore[operator]
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"operator: exit {self.process.poll()}\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)

    def page(self, path: str) -> str:
        """A page of the health server; empty while it is not well."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            error.close()
            return ""
        except OSError:
            return ""

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all label sets that have these."""
        found = 0.0
        for line in self.page("/metrics").splitlines():
            match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if match and all(f'{key}="{value}"' in (match[1] or "") for key, value in labels.items()):
                found += float(match[2])
        return found

    def settled(self) -> float:
        """Wait until nothing has been written for a second (events go out later than what they tell); the writes."""
        seen = [-1.0]
        self.until(lambda: seen.append(self.writes()) or (len(seen) > 20 and len(set(seen[-20:])) == 1))
        return seen[-1]

    def writes(self) -> float:
        """How many requests it has sent that could change something."""
        return sum(self.metric("rest_client_requests_total", method=each) for each in WRITES)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LLMKUBE_")}
