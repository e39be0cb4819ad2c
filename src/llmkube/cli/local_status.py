"""What `llmkube local status` shows: looked up here, from the API where it answers and from this machine."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from llmkube.cli.output import aligned, as_json, printable, size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from llmkube.local.home import Home

ANSWER_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class PodLine:
    """One pod, as short as can be."""

    namespace: str
    name: str
    phase: str
    ready: bool
    restarts: int


@dataclass(frozen=True, slots=True)
class LocalStatus:
    """Everything that is shown. `running` is whether the control plane answers; sizes are in bytes."""

    running: bool
    server: str
    operator: str
    pods: tuple[PodLine, ...]
    engine: str
    cacheBytes: int  # noqa: N815 - these are the names in the JSON
    volumes: str
    kubeconfig: str
    log: str


async def look(home: Home, environ: Mapping[str, str]) -> LocalStatus:
    """Look at everything; what does not answer is told, never raised."""
    running, server, operator, pods = await control_plane(home)
    return LocalStatus(
        running=running,
        server=server,
        operator=operator,
        pods=pods,
        engine=engine_line(environ),
        cacheBytes=await asyncio.to_thread(disk_usage, home.volumes),
        volumes=str(home.volumes),
        kubeconfig=str(home.kubeconfig),
        log=str(home.supervisor_log),
    )


async def control_plane(home: Home) -> tuple[bool, str, str, tuple[PodLine, ...]]:
    """Return whether the API server answers, what it says of itself, of the operator, and of the pods."""
    from llmkube.cli.connection import quietly
    from llmkube.cli.local_start import connected, operator_trouble
    from llmkube.kube.errors import KubeError
    from llmkube.kube.kinds import POD
    from llmkube.local.process import is_locked

    if not is_locked(home.supervisor_lock):
        return False, "not running; `llmkube local up` starts it", "not running", ()
    quietly()
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT), connected(home) as client:
            operator = await operator_trouble(client) or "available"
            pods = tuple(pod_line(each) for each in await client.list_raw(POD))
            return True, client.transport.config.server, operator, pods
    except TimeoutError:
        return False, f"no answer within {ANSWER_TIMEOUT:.0f} s; see {home.supervisor_log}", "unknown", ()
    except (KubeError, OSError) as error:
        return False, f"does not answer: {error}; see {home.supervisor_log}", "unknown", ()


def pod_line(pod: dict[str, Any]) -> PodLine:
    """Return one pod's line."""
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    return PodLine(
        namespace=pod["metadata"].get("namespace", ""),
        name=pod["metadata"]["name"],
        phase="Terminating" if pod["metadata"].get("deletionTimestamp") else status.get("phase", "Unknown"),
        ready=bool(containers) and all(each.get("ready") for each in containers),
        restarts=sum(each.get("restartCount", 0) for each in containers),
    )


def engine_line(environ: Mapping[str, str]) -> str:
    """Return which llama.cpp is used, or how to get one."""
    from llmkube.local.engine.find import EngineNotFound, find_engine

    try:
        engine = find_engine(environ)
    except EngineNotFound as error:
        return f"none: {error}"
    return f"{' '.join(engine.argv)} ({engine.origin})"


def disk_usage(folder: Path) -> int:
    """Return the bytes that the files of a folder take; links are not followed, what vanishes meanwhile is nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            found = path.lstat()
        except OSError:
            continue
        total += found.st_blocks * 512 if path.is_file() and not path.is_symlink() else 0
    return total


def shown(status: LocalStatus, form: str) -> str:
    """Return the status as a table for people, or as JSON."""
    if form == "json":
        return as_json(asdict(status))
    rows = [
        ("control plane", "running" if status.running else "not running"),
        ("API server", status.server),
        ("operator", status.operator),
        ("engine", status.engine),
        ("cache", f"{size(status.cacheBytes)} in {status.volumes}"),
        ("kubeconfig", status.kubeconfig),
        ("log", status.log),
    ]
    return aligned([[name, printable(value)] for name, value in rows]) + pod_table(status.pods)


def pod_table(pods: tuple[PodLine, ...]) -> str:
    """Return the pods as columns; nothing when there are none."""
    if not pods:
        return ""
    title = ["NAMESPACE", "POD", "READY", "STATUS", "RESTARTS"]
    rows = [[pod.namespace, pod.name, str(pod.ready).lower(), pod.phase, str(pod.restarts)] for pod in pods]
    return "\n" + aligned([title, *([printable(cell) for cell in row] for row in rows)])
