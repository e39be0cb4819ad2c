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
from llmkube.cli.local_bootstrap import LABELS, NAMESPACE, OPERATOR
from llmkube.cli.output import printable
from llmkube.local.home import VARIABLE
from llmkube.local.process import Process, is_locked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from llmkube.kube.client import Client
    from llmkube.local.home import Home

TICK = 0.1
TAIL = 15
LOG_TIMEOUT = 5.0
SELECTOR = ",".join(f"{name}={value}" for name, value in LABELS.items())
LARGEST_LOG = 10 * 1024 * 1024


class EndedMeanwhileError(Exception):
    """The supervisor that was there when we looked is gone."""


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

    def check() -> None:
        _check_alive(home, process, began)

    async with bounded(home, timeout, began) as say:
        say("starting the control plane")
        while not _is_supervisor(home, process):
            check()
            await asyncio.sleep(TICK)
        await until_available(home, say, check)


async def until_useful(home: Home, *, timeout: float) -> None:
    """Wait until what runs already is of use; EndedMeanwhileError when it ends, as it may be about to."""

    def check() -> None:
        if not is_locked(home.supervisor_lock):
            raise EndedMeanwhileError

    began = home.supervisor_log.stat().st_size if home.supervisor_log.exists() else 0
    async with bounded(home, timeout, began) as say:
        await until_available(home, say, check)


@asynccontextmanager
async def bounded(home: Home, timeout: float, began: int) -> AsyncIterator[Callable[[str], None]]:
    """Yield a way to tell of progress; past the limit, TimedOutError with the ends of the logs."""
    try:
        with saying() as say:
            async with asyncio.timeout(timeout):
                yield say
    except TimeoutError:
        logs = [tail(home.supervisor_log, began), await operator_log(home)]
        raise TimedOutError(
            f"local mode is not of use after {timeout:.0f} s, and goes on in the background: see "
            + "\n".join([f"`llmkube local status` and {home.supervisor_log}", *filter(None, logs)])
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
    from llmkube.kube.kinds import DEPLOYMENT, POD, Key

    try:
        found = await client.get_raw(DEPLOYMENT, Key(NAMESPACE, OPERATOR))
    except NotFound:
        return "waiting for the operator's Deployment"
    if is_available(found):
        return ""
    pods = await client.list_raw(POD, NAMESPACE, label_selector=SELECTOR)
    return next((f"operator: {why}" for pod in pods if (why := container_trouble(pod))), "starting the operator")


def container_trouble(pod: dict[str, Any]) -> str:
    """Return why a pod's container does not run, as the node says it; empty when it does, or has not been tried."""
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        ended = (container.get("lastState") or {}).get("terminated") or {}
        if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
            code = f", last exit code {ended['exitCode']}" if "exitCode" in ended else ""
            return f"{waiting['reason']}{code} {waiting.get('message', '')}".strip()
    return ""


async def operator_log(home: Home) -> str:
    """Return the end of the operator's log; empty where it cannot be had."""
    from llmkube.kube.errors import KubeError
    from llmkube.kube.kinds import POD, Key

    lines = []
    try:
        async with asyncio.timeout(LOG_TIMEOUT), connected(home) as client:
            for pod in await client.list(POD, NAMESPACE, label_selector=SELECTOR):
                lines += (await client.logs(Key(NAMESPACE, pod.metadata.name), tail=TAIL)).splitlines()
    except (KubeError, OSError, TimeoutError):
        return ""
    return "\n".join(f"operator: {printable(line)}" for line in lines[-TAIL:])


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
    return "\n".join(printable(line) for line in lines)


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
