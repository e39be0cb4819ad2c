"""How `llmkube local up` starts the supervisor in the background and waits, within bounds, until it is of use."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import click

from llmkube.cli.errors import CommandError, TimedOutError
from llmkube.cli.local_bootstrap import NAMESPACE, OPERATOR
from llmkube.local.home import VARIABLE
from llmkube.local.process import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from llmkube.kube.client import Client
    from llmkube.local.home import Home

TICK = 0.1
TAIL = 15
LARGEST_LOG = 10 * 1024 * 1024


def spawn(home: Home, port: int | None) -> tuple[subprocess.Popen[bytes], int]:
    """Start the supervisor in a session of its own; returns it, and where its part of the log begins."""
    home.make()
    log = home.supervisor_log
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_name(f"{log.name}.1"))
    command = [sys.executable, "-P", "-m", "llmkube", "local", "up", "--foreground"]
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        process = subprocess.Popen(
            command if port is None else [*command, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=home.local,
            env={**os.environ, VARIABLE: str(home.root)},
            start_new_session=True,
        )
        return process, output.tell()


async def until_up(home: Home, process: subprocess.Popen[bytes], began: int, *, timeout: float) -> None:
    """Wait until a supervisor just spawned serves and its operator works; CommandError tells why it does not."""
    with saying() as say:
        say("starting the control plane")
        try:
            async with asyncio.timeout(timeout):
                while not _is_supervisor(home, process):
                    _check_alive(home, process, began)
                    await asyncio.sleep(TICK)
                await until_available(home, say, lambda: _check_alive(home, process, began))
        except TimeoutError:
            raise TimedOutError(
                f"local mode is not ready after {timeout:.0f} s; it goes on in the background: see "
                f"`llmkube local status` and {home.supervisor_log}\n{tail(home.supervisor_log, began)}"
            ) from None


def _is_supervisor(home: Home, process: subprocess.Popen[bytes]) -> bool:
    told = Process.read(home.supervisor_pid)
    return told is not None and told.pid == process.pid


def _check_alive(home: Home, process: subprocess.Popen[bytes], began: int) -> None:
    if process.poll() is None:
        return
    said = tail(home.supervisor_log, began)
    last = said.rpartition("\n")[2]
    if last.startswith("error: "):
        raise CommandError(last.removeprefix("error: "))
    raise CommandError(
        f"local mode ended at once (exit code {process.returncode}); {home.supervisor_log} says:\n{said}"
    )


async def until_available(home: Home, say: Callable[[str], None], check: Callable[[], None]) -> None:
    """Wait until the API answers and the operator is Available. Unbounded: the caller has the timeout."""
    from llmkube.kube.errors import KubeError

    said = ""
    while True:
        check()
        try:
            async with connected(home) as client:
                trouble = await operator_trouble(client)
        except (KubeError, OSError):
            trouble = "waiting for the API server"
        if not trouble:
            return
        if trouble != said:
            say(said := trouble)
        await asyncio.sleep(TICK)


@asynccontextmanager
async def connected(home: Home) -> AsyncIterator[Client]:
    """Yield a client of this home's API server; KubeError or OSError where there is none."""
    from llmkube.kube.client import Client
    from llmkube.kube.config import from_kubeconfig
    from llmkube.kube.transport import Transport

    async with Transport(from_kubeconfig(home.kubeconfig)) as transport:
        yield Client(transport)


async def operator_trouble(client: Client) -> str:
    """Return why the operator does not work yet; empty when it does."""
    from llmkube.kube.errors import NotFound
    from llmkube.kube.kinds import DEPLOYMENT, Key

    try:
        found = await client.get_raw(DEPLOYMENT, Key(NAMESPACE, OPERATOR))
    except NotFound:
        return "waiting for the operator's Deployment"
    return "" if is_available(found) else "starting the operator"


def is_available(deployment: dict[str, Any]) -> bool:
    """Whether a Deployment as it is written now has its pods."""
    status = deployment.get("status") or {}
    is_current: bool = status.get("observedGeneration") == deployment["metadata"].get("generation")
    wanted = deployment["spec"].get("replicas", 1)
    return is_current and wanted == status.get("updatedReplicas") and wanted == status.get("availableReplicas")


def tail(log: Path, began: int) -> str:
    """Return the last lines of the log since an offset, as text that a terminal can be shown."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(began, log.stat().st_size - 64 * 1024))
            lines = stream.read().decode(errors="replace").splitlines()[-TAIL:]
    except OSError:
        return ""
    return "\n".join("".join(each for each in line if each.isprintable()) for line in lines)


@contextmanager
def saying() -> Iterator[Callable[[str], None]]:
    """Yield a function that tells of progress on stderr: one line that changes, or one line each in a pipe."""
    if not sys.stderr.isatty():
        started = time.monotonic()
        yield lambda text: click.echo(f"{time.monotonic() - started:6.1f}s  {text}", err=True)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update
