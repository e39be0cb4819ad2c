"""From a container's spec to the host process: argv, environment, working directory. Reads objects, starts nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmkube.local.node.environment import Lookup, declared, expand_all
from llmkube.local.node.mounts import Rewriter
from llmkube.local.node.program import resolve
from llmkube.local.node.volumes import mounts
from llmkube.local.objects import Object, uid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmkube.local.node.attempts import Attempt
    from llmkube.local.node.machine import Machine, Place

TERMINATION_LOG = "/dev/termination-log"
OUTPUT_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Launch:
    argv: tuple[str, ...]
    environ: dict[str, str]
    cwd: Path


def plan(spec: Object, *, attempt: Attempt, place: Place, machine: Machine) -> Launch:
    """Raises ConfigError, UnsupportedError or ProgramNotFoundError when the container cannot start (yet)."""
    rewrite = rewriter(spec, attempt=attempt, place=place)
    values = declared(spec, place.pod, lookup_for(place, machine))
    environ = {**machine.environ, **_own(place, rewrite), **{name: rewrite(value) for name, value in values.items()}}
    argv = resolve(
        spec,
        [rewrite(word) for word in expand_all(spec.get("command") or (), values)],
        [rewrite(word) for word in expand_all(spec.get("args") or (), values)],
        search_path=environ.get("PATH", os.defpath),
        find_engine=machine.find_engine,
    )
    return Launch(tuple(argv), environ, _directory(spec, place, rewrite))


def rewriter(spec: Object, *, attempt: Attempt, place: Place) -> Rewriter:
    paths = mounts(spec, dict(place.volumes))
    paths[spec.get("terminationMessagePath") or TERMINATION_LOG] = attempt.termination_log
    return Rewriter(paths, address=None if place.listens_everywhere else place.address)


def lookup_for(place: Place, machine: Machine) -> Lookup:
    namespace = place.pod["metadata"]["namespace"]
    return lambda resource, name: machine.lookup(resource, namespace, name)


def _own(place: Place, rewrite: Rewriter) -> dict[str, str]:
    own = {"HOSTNAME": place.pod["metadata"]["name"], "LLMKUBE_POD_UID": uid_of(place.pod)}
    return own | ({"TMPDIR": str(rewrite.mounts["/tmp"])} if "/tmp" in rewrite.mounts else {})  # noqa: S108 - a mount path


def _directory(spec: Object, place: Place, rewrite: Callable[[str], str]) -> Path:
    """The working directory where it is a mount; a container's own file system does not exist here."""
    wanted = spec.get("workingDir") or ""
    rewritten = rewrite(wanted)
    directory = Path(rewritten) if rewritten != wanted else place.container(spec["name"]) / "work"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


async def execute(argv: Sequence[str], launch: Launch, *, timeout: float) -> tuple[int, str]:
    """Runs a probe's or hook's command in the container's environment; whatever it started ends with it.

    Raises OSError when it cannot start and TimeoutError past the limit.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=launch.environ,
        cwd=launch.cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        async with asyncio.timeout(timeout):
            output = await process.stdout.read(OUTPUT_LIMIT)
            return await process.wait(), output.decode("utf-8", "replace")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
