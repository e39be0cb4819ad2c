"""What watches one running container: its postStart hook, then the startup probe, then readiness and liveness."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from llmkube.local.node import probes

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmkube.local.node.probes import Outcome, Target
    from llmkube.local.objects import Object


HOOK_TIMEOUT = 300.0


class Show(Protocol):
    def __call__(self, *, started: bool = ..., ready: bool = ...) -> None: ...


class Probing:
    """Reports through three callbacks: what to show, a warning event, and why the run must end, within which grace.

    A container that was adopted when it had `started` is as ready as it was until its probe says otherwise.
    """

    def __init__(
        self,
        spec: Object,
        target: Target,
        *,
        started: bool,
        show: Show,
        event: Callable[[str, str], None],
        fail: Callable[[str, float | None], None],
    ) -> None:
        self._spec = spec
        self._target = target
        self._started = started
        self._show = show
        self._event = event
        self._fail = fail

    async def run(self) -> None:
        """Until cancelled, or until the container must end."""
        readiness, liveness = self._spec.get("readinessProbe"), self._spec.get("livenessProbe")
        if not self._started:
            if not (await self._post_start() and await self._start_up()):
                return
            self._show(started=True, ready=readiness is None)
        async with asyncio.TaskGroup() as group:
            if readiness:
                group.create_task(self._watch("Readiness", readiness, lambda ok: self._show(ready=ok)))
            if liveness:
                group.create_task(
                    self._watch("Liveness", liveness, lambda ok: self._must_live("liveness", liveness, ok=ok))
                )

    async def _post_start(self) -> bool:
        hook = (self._spec.get("lifecycle") or {}).get("postStart")
        if not hook:
            return True
        outcome = await probes.check(hook, self._target, timeout=HOOK_TIMEOUT)
        if not outcome.ok:
            self._event("FailedPostStartHook", f"PostStartHook failed: {outcome.message}")
            self._fail("failed its postStart hook", None)
        return outcome.ok

    async def _start_up(self) -> bool:
        """Whether the startup probe succeeded; failing it ends the run."""
        probe = self._spec.get("startupProbe")
        if not probe:
            return True
        decided: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch("Startup", probe, decided.set_result, eager=True))
            ok = await decided
            watching.cancel()
        self._must_live("startup", probe, ok=ok)
        return ok

    async def _watch(self, kind: str, probe: Object, on_state: Callable[[bool], None], *, eager: bool = False) -> None:
        def on_outcome(outcome: Outcome) -> None:
            if not outcome.ok:
                self._event("Unhealthy", f"{kind} probe failed: {outcome.message}")

        await probes.watch(probe, self._target, on_outcome=on_outcome, on_state=on_state, eager=eager)

    def _must_live(self, kind: str, probe: Object, *, ok: bool) -> None:
        if not ok:
            self._fail(f"failed {kind} probe, will be restarted", probe.get("terminationGracePeriodSeconds"))
