"""The process node: registers this machine as Node `local` and runs the pods assigned to it, one task per pod.

Level-triggered: whatever is in the registry when it starts, and whatever changes later, is compared with what runs.
When its task is cancelled the processes go on; the next node on the same directory adopts them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp

from llmkube.local.node.backoff import Backoff
from llmkube.local.node.environment import host_environment
from llmkube.local.node.logs import LogReader
from llmkube.local.node.machine import Machine, pod_directory
from llmkube.local.node.pod import PodWorker, remove_directory
from llmkube.local.node.program import engine_argv
from llmkube.local.node.registration import NAME, register
from llmkube.local.objects import Change, Clock, Key, Object, Registry, is_deleting, key_of, spec_of, status_of, uid_of
from llmkube.local.recorder import EventRecorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

AWAITED = frozenset({"secrets", "configmaps", "persistentvolumeclaims"})
RETRY_AFTER_ERROR = 5.0
STOP_MARGIN = 15.0


def utc_now() -> datetime:
    return datetime.now(UTC)


class Node:
    """`home` holds pods/ (one directory per pod) and volumes/ (one per claim)."""

    def __init__(
        self,
        registry: Registry,
        home: Path,
        *,
        engine_environ: Mapping[str, str] | None = None,
        find_engine: Callable[[Mapping[str, str]], Sequence[str]] = engine_argv,
        clock: Clock = utc_now,
        backoff: Backoff | None = None,
    ) -> None:
        self._registry = registry
        self._home = home
        self._environ = dict(os.environ if engine_environ is None else engine_environ)
        self._find_engine = find_engine
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._workers: dict[str, PodWorker] = {}
        self._changed: set[Key] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self.log_reader = LogReader(registry, home / "pods")

    async def run(self) -> None:
        """Until cancelled. The processes are left running."""
        async with self._session() as session:
            machine = self._machine(session)
            machine.pods.mkdir(parents=True, exist_ok=True)
            register(self._registry, self._clock)
            unsubscribe = self._registry.subscribe(self._on_change)
            try:
                async with asyncio.TaskGroup() as group:
                    await self._remove_orphans(machine.pods)
                    self._changed.update(key_of(pod) for pod in self._registry.list("pods"))
                    while True:
                        self._look(machine, group)
                        await self._wake.wait()
            finally:
                unsubscribe()

    async def stop_pods(self) -> None:
        """Ends every process gracefully and waits for it; the pods stay and run again when a node starts."""
        self._stopping = True
        workers = list(self._workers.values())
        for worker in workers:
            worker.pause()
        graces = [float(spec_of(worker.pod).get("terminationGracePeriodSeconds", 30)) for worker in workers]
        try:
            async with asyncio.timeout(max(graces, default=0.0) + STOP_MARGIN):
                for worker in workers:
                    await worker.idle.wait()
        except TimeoutError:
            log.exception(
                "pods still stopping: %s", ", ".join(str(one.key) for one in workers if not one.idle.is_set())
            )

    def _machine(self, session: aiohttp.ClientSession) -> Machine:
        return Machine(
            registry=self._registry,
            recorder=EventRecorder(self._registry, component="kubelet", clock=self._clock),
            session=session,
            clock=self._clock,
            environ=host_environment(self._environ),
            find_engine=lambda: self._find_engine(self._environ),
            pods=self._home / "pods",
            volumes=self._home / "volumes",
            backoff=self._backoff,
        )

    def _session(self) -> aiohttp.ClientSession:
        """For probes: a new connection each time, as many as there are pods, cookies never kept."""
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    def _on_change(self, change: Change) -> None:
        if change.resource == "pods":
            self._changed.add(key_of(change.object))
            self._wake.set()
        elif change.resource in AWAITED:
            namespace = key_of(change.object).namespace
            for worker in self._workers.values():
                if worker.key.namespace == namespace:
                    worker.poke()

    def _look(self, machine: Machine, group: asyncio.TaskGroup) -> None:
        self._wake.clear()
        keys, self._changed = self._changed, set()
        for key in keys:
            pod = machine.lookup("pods", *key)
            self._forget_others(key, pod)
            if pod is not None and spec_of(pod).get("nodeName") == NAME:
                self._attend(pod, machine, group)

    def _forget_others(self, key: Key, pod: Object | None) -> None:
        """A pod whose object is gone (deleted by force) ends at once."""
        for uid, worker in self._workers.items():
            if worker.key == key and (pod is None or uid_of(pod) != uid):
                worker.delete(0)

    def _attend(self, pod: Object, machine: Machine, group: asyncio.TaskGroup) -> None:
        worker = self._workers.get(uid_of(pod))
        if worker is None:
            if self._stopping:
                return
            worker = PodWorker(pod, machine, self._addresses)
            self._workers[uid_of(pod)] = worker
            group.create_task(self._keep(worker), name=f"pod {worker.key}")
        if is_deleting(pod):
            worker.delete(pod["metadata"].get("deletionGracePeriodSeconds"))

    async def _keep(self, worker: PodWorker) -> None:
        """One pod's bug is that pod's problem: it is logged and tried again, and the other pods go on."""
        while True:
            try:
                await worker.run()
            except Exception:
                log.exception("pod %s: its worker failed; trying again in %g s", worker.key, RETRY_AFTER_ERROR)
                await asyncio.sleep(RETRY_AFTER_ERROR)
            else:
                self._workers.pop(uid_of(worker.pod), None)
                return

    def _addresses(self) -> set[str]:
        pods = [pod for pod in self._registry.list("pods") if status_of(pod).get("podIP")]
        return {status_of(pod)["podIP"] for pod in pods}

    async def _remove_orphans(self, pods: Path) -> None:
        """Directories of pods that were deleted while no node ran."""
        known = {pod_directory(pods, pod) for pod in self._registry.list("pods")}
        async with asyncio.TaskGroup() as group:
            for directory in await asyncio.to_thread(lambda: list(pods.iterdir())):
                if directory not in known:
                    group.create_task(remove_directory(directory))
