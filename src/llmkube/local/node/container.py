"""One container of one pod: begin or adopt a run, watch it with probes, run it again as the policy says, stop it.

Runs on disk are the truth (attempts.py). Cancelling leaves the process running: that is how a node stops. Only `stop`
ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from llmkube.local.node import attempts, probes
from llmkube.local.node.attempts import Attempt, Ended, Started
from llmkube.local.node.environment import ConfigError
from llmkube.local.node.launch import execute, plan
from llmkube.local.node.logs import last_lines
from llmkube.local.node.probes import Target
from llmkube.local.node.probing import Probing
from llmkube.local.node.program import ProgramNotFoundError
from llmkube.local.node.shim import now as precise_now
from llmkube.local.node.status import Terminated, published_view, whole_seconds
from llmkube.local.node.volumes import UnsupportedError, ports
from llmkube.local.objects import Object, parse_time, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmkube.local.node.machine import Machine, Place

TERMINATION_MESSAGE_LIMIT = 4096
LEAST_GRACE_AFTER_HOOK = 2.0
NODE_STOPPED = ("NodeStopped", "runs again when the node starts")


class Container:
    """`changed` is called after every change of `view`."""

    def __init__(
        self, spec: Object, *, place: Place, machine: Machine, policy: str, changed: Callable[[], None]
    ) -> None:
        self.spec = spec
        self.view = published_view(place.pod, spec, waiting=("ContainerCreating", ""))
        self._place = place
        self._machine = machine
        self._policy = policy
        self._changed = changed
        self._directory = place.container(spec["name"])
        self._stopping = asyncio.Event()
        self._kill = asyncio.Event()
        self._poke = asyncio.Event()
        self._grace = float(spec_of(place.pod).get("terminationGracePeriodSeconds", 30))
        self._failed_grace: float | None = None
        self._running: Started | None = None
        inits = spec_of(place.pod).get("initContainers") or ()
        self._list = "initContainers" if any(one["name"] == spec["name"] for one in inits) else "containers"

    async def run(self) -> int | None:
        """Returns the last exit code when nothing more is to run; None when it was stopped before it ran."""
        attempt = attempts.latest(self._directory) or Attempt(self._directory, 0)
        backoff = self._machine.backoff
        while True:
            shim = None
            if attempt.ended() is None and not attempt.alive():
                shim = await self._begin(attempt)
                if shim is None:
                    return None
            ended = await self._follow(attempt, shim)
            if self._stopping.is_set() or not self._again(attempt, ended):
                return ended.exit_code
            if not attempt.file("stopped").exists():
                backoff = backoff.after_run(self._seconds())
                await self._back_off(backoff.delay)
            attempt = Attempt(self._directory, attempt.number + 1)

    def stop(self, grace: float | None = None, *, resume: bool = False) -> None:
        """Ends it gracefully. `resume` leaves a note that it was the node that stopped, so it runs again."""
        self._grace = self._grace if grace is None else grace
        self._stopping.set()
        if resume:
            self._note_stopped_by_node()
        self._kill.set()
        self._poke.set()
        if grace == 0 and self._running:
            self._running.signal_group(signal.SIGKILL)

    def _note_stopped_by_node(self) -> None:
        attempt = attempts.latest(self._directory)
        if attempt is not None and attempt.alive():
            attempt.file("stopped").touch()

    def poke(self) -> None:
        """Something that it may be waiting for has changed."""
        self._poke.set()

    def _again(self, attempt: Attempt, ended: Ended) -> bool:
        if ended.exit_code == 0 and self._policy != "Always":
            return False
        return attempt.file("stopped").exists() or self._policy != "Never"

    # -- begin

    async def _begin(self, attempt: Attempt) -> int | None:
        """Starts the run as soon as all that it needs is there; None when stopped before."""
        retry = self._machine.backoff
        while not self._stopping.is_set():
            try:
                return self._launch(attempt)
            except ProgramNotFoundError as error:
                self._cannot_start("ErrImagePull", str(error))
            except (ConfigError, UnsupportedError, OSError, ValueError) as error:
                self._cannot_start("CreateContainerConfigError", str(error))
            retry = retry.after_run(0)
            await self._pause(retry.delay or retry.first / 2)
        return None

    def _cannot_start(self, reason: str, message: str) -> None:
        self._warn("Failed", f"Error: {reason}: {message}")
        self._show(waiting=(reason, message))

    def _launch(self, attempt: Attempt) -> int:
        """The last thing that it does is to start the shim: whatever fails before may be tried again."""
        launch = plan(self.spec, attempt=attempt, place=self._place, machine=self._machine)
        attempt.directory.mkdir(parents=True, exist_ok=True)
        attempt.termination_log.touch(mode=0o600)
        attempts.forget_before(attempt)
        self._event(self._machine.recorder.normal, "Created", f"Created container: {self.view.name}")
        return attempt.launch(launch.argv, environ=launch.environ, cwd=launch.cwd)

    # -- follow one run

    async def _follow(self, attempt: Attempt, shim: int | None) -> Ended:
        started = await attempt.recorded()
        self._remember_previous(attempt)
        if started is not None and attempt.alive():
            self._is_running(attempt, started, new=shim is not None)
            await self._supervise(attempt, started)
        if shim is not None:
            attempts.reap(shim)
        ended = attempt.ended()
        if ended is None or ended.reason == attempts.LOST["reason"]:
            if started is not None:
                started.signal_group(signal.SIGKILL)
            ended = ended or Ended(128, precise_now(), "StartError", "its shim ended before the program began")
        self._has_ended(attempt, started, ended)
        return ended

    async def _supervise(self, attempt: Attempt, started: Started) -> None:
        if not self._stopping.is_set():
            self._kill.clear()
        self._running = started
        probing = Probing(
            self.spec,
            self._target(attempt),
            started=self.view.started,
            show=self._show,
            event=self._warn,
            fail=self._fail,
        )
        async with asyncio.TaskGroup() as group:
            companions = [
                group.create_task(self._end_when_asked(attempt, started)),
                group.create_task(probing.run()),
            ]
            await attempt.gone()
            for companion in companions:
                companion.cancel()
        self._running = None

    async def _end_when_asked(self, attempt: Attempt, started: Started) -> None:
        """preStop, SIGTERM, and SIGKILL when the grace is over; the process's end cancels this."""
        await self._kill.wait()
        if self._stopping.is_set():
            self._event(self._machine.recorder.normal, "Killing", f"Stopping container {self.view.name}")
        grace = self._grace if self._stopping.is_set() or self._failed_grace is None else self._failed_grace
        deadline = asyncio.get_running_loop().time() + grace
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace > 0:
            outcome = await probes.check(hook, self._target(attempt), timeout=grace)
            if not outcome.ok:
                self._warn("FailedPreStopHook", f"PreStopHook failed: {outcome.message}")
            deadline = max(deadline, asyncio.get_running_loop().time() + LEAST_GRACE_AFTER_HOOK)
        started.signal_group(signal.SIGTERM)
        await asyncio.sleep(max(0.0, deadline - asyncio.get_running_loop().time()))
        started.signal_group(signal.SIGKILL)

    def _fail(self, why: str, grace: float | None) -> None:
        """A probe or hook says that this run must end, maybe within its own grace; the policy says what follows."""
        self._failed_grace = grace
        self._event(self._machine.recorder.normal, "Killing", f"Container {self.view.name} {why}")
        self._kill.set()

    def _warn(self, reason: str, message: str) -> None:
        self._event(self._machine.recorder.warning, reason, message)

    def _target(self, attempt: Attempt) -> Target:
        async def run_inside(command: list[str], timeout: float) -> tuple[int, str]:
            inside = {**self.spec, "command": command, "args": []}
            try:
                launch = plan(inside, attempt=attempt, place=self._place, machine=self._machine)
            except (ConfigError, ProgramNotFoundError, UnsupportedError) as error:
                return 127, str(error)
            return await execute(launch.argv, launch, timeout=timeout)

        address = "127.0.0.1" if self._place.listens_everywhere else self._place.address
        return Target(address, ports([self.spec]), self._machine.session, run_inside)

    # -- what is shown

    def _remember_previous(self, attempt: Attempt) -> None:
        previous = Attempt(self._directory, attempt.number - 1)
        ended = previous.ended() if attempt.number else None
        last = self._terminated(previous, previous.started(), ended) if ended else None
        self._show(last=last, restart_count=attempt.number)

    def _is_running(self, attempt: Attempt, started: Started, *, new: bool) -> None:
        if new:
            self._event(self._machine.recorder.normal, "Started", f"Started container {self.view.name}")
        identity = _identity(started)
        same = (
            {} if identity == self.view.container_id and self.view.running_since else {"started": False, "ready": False}
        )
        self._show(waiting=None, terminated=None, running_since=started.at, container_id=identity, **same)

    def _has_ended(self, attempt: Attempt, started: Started | None, ended: Ended) -> None:
        terminated = self._terminated(attempt, started, ended)
        state: dict[str, object] = {"waiting": None, "terminated": terminated}
        if attempt.file("stopped").exists() and self._again(attempt, ended):
            state = {"waiting": NODE_STOPPED, "terminated": None, "last": terminated}
        self._show(running_since="", started=False, ready=False, **state)

    def _terminated(self, attempt: Attempt, started: Started | None, ended: Ended) -> Terminated:
        message = self._termination_message(attempt, ended)
        if started is None:
            return Terminated(ended, ended.at, "", message)
        return Terminated(ended, started.at, _identity(started), message)

    def _termination_message(self, attempt: Attempt, ended: Ended) -> str:
        """The file; or the end of the log when the file is empty, the container failed and asked for it."""
        try:
            with attempt.termination_log.open("rb") as file:
                message = file.read(TERMINATION_MESSAGE_LIMIT).decode("utf-8", "replace")
        except OSError:
            message = ""
        wants_log = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError" and ended.exit_code != 0
        return last_lines(attempt.log) if wants_log and not message else message

    async def _back_off(self, delay: float) -> None:
        if delay == 0:
            return
        meta = self._place.pod["metadata"]
        where = f"container={self.view.name} pod={meta['name']}_{meta['namespace']}({meta['uid']})"
        message = f"back-off {delay:g}s restarting failed {where}"
        self._warn("BackOff", f"Back-off restarting failed container {where}")
        self._show(waiting=("CrashLoopBackOff", message), last=self.view.terminated, terminated=None)
        await within(self._stopping, delay)

    async def _pause(self, seconds: float) -> None:
        """Until poked, stopped, or so many seconds."""
        self._poke.clear()
        if not self._stopping.is_set():
            await within(self._poke, seconds)

    def _seconds(self) -> float:
        """How long the last run took."""
        run = self.view.terminated
        if run is None or not run.started_at:
            return 0.0
        moments = [parse_time(whole_seconds(one)) for one in (run.started_at, run.ended.at)]
        return (moments[1] - moments[0]).total_seconds()

    def _show(self, **changes: object) -> None:
        self.view = replace(self.view, **changes)  # type: ignore[arg-type]
        self._changed()

    def _event(self, record: Callable[..., None], reason: str, message: str) -> None:
        record(self._place.pod, reason, message, field_path=f"spec.{self._list}{{{self.view.name}}}")


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event came within so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False


def _identity(started: Started) -> str:
    return f"process://{started.pid}.{started.start}"
