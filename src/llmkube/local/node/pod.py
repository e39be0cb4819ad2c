"""One pod from its assignment to its end: address, volumes, init containers in order, containers, status, removal.

One task per pod. Cancelling it leaves every process running, to be adopted by the next node on the same directory.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from llmkube.local.node import attempts
from llmkube.local.node.addresses import NoFreeAddressError, allocate, container_ports
from llmkube.local.node.container import Container, within
from llmkube.local.node.environment import ConfigError
from llmkube.local.node.launch import lookup_for
from llmkube.local.node.machine import Machine, Place, pod_directory
from llmkube.local.node.status import ContainerView, PodView, is_finished, published_view, render
from llmkube.local.node.volumes import UnsupportedError, bound_claim, prepare, refuse_unsupported
from llmkube.local.objects import (
    Object,
    StatusError,
    condition_is_true,
    key_of,
    parse_time,
    spec_of,
    status_of,
    time_text,
    uid_of,
    with_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class PodWorker:
    """Runs one pod. The node calls `delete`, `pause` and `poke`; everything else happens in `run`."""

    def __init__(self, pod: Object, machine: Machine, addresses_in_use: Callable[[], set[str]]) -> None:
        self.pod = pod
        self.key = key_of(pod)
        self._machine = machine
        self._addresses_in_use = addresses_in_use
        self._directory = pod_directory(machine.pods, pod)
        self._address = str(status_of(pod).get("podIP", ""))
        self._mounted = condition_is_true(pod, "PodReadyToStartContainers")
        self._waiting = ("PodInitializing", "") if spec_of(pod).get("initContainers") else ("ContainerCreating", "")
        self._containers: dict[str, Container] = {}
        self._verdict: tuple[str, str] | None = None
        self._deleted = asyncio.Event()
        self._stopping = asyncio.Event()
        self._poke = asyncio.Event()
        self._grace: float | None = None
        self._resume = False
        self.idle = asyncio.Event()

    async def run(self) -> None:
        """Returns when the pod has been deleted and nothing of it is left."""
        if not is_finished(self.pod) and not self._nothing_to_stop():
            await self._live()
        self.idle.set()
        await self._deleted.wait()
        await end_processes(self._directory)
        self._remove_object()
        await remove_directory(self._directory)

    def delete(self, grace: float | None) -> None:
        """Stops everything within the grace, then the object goes. A second call may only shorten it."""
        self._deleted.set()
        self._stop(grace)

    def pause(self) -> None:
        """The node stops: end the processes gracefully, keep the pod."""
        self._resume = True
        self._stop(None)

    def poke(self) -> None:
        """A Secret, ConfigMap or claim of the namespace changed."""
        self._poke.set()
        for container in self._containers.values():
            container.poke()

    def _stop(self, grace: float | None) -> None:
        self._grace = grace
        self._stopping.set()
        self._poke.set()
        for container in () if self.idle.is_set() else self._containers.values():
            container.stop(grace, resume=self._resume and not self._deleted.is_set())

    def _nothing_to_stop(self) -> bool:
        return self._deleted.is_set() and not self._directory.exists()

    # -- life

    async def _live(self) -> None:
        self._publish()
        place = await self._settle()
        if place is None:
            return
        self._mounted = True
        async with asyncio.TaskGroup() as group:
            deadline = group.create_task(self._deadline())
            if await self._initialize(place):
                await self._run_containers(place)
            deadline.cancel()
        self._publish()

    async def _settle(self) -> Place | None:
        """The address and the volumes, as soon as they can be had; None when stopped before."""
        wait = self._machine.backoff
        while True:
            try:
                return self._place()
            except UnsupportedError as error:
                self._cannot_mount(("CreateContainerConfigError", str(error)))
                await self._stopping.wait()
            except (ConfigError, NoFreeAddressError, OSError) as error:
                self._cannot_mount(("ContainerCreating", str(error)))
                wait = wait.after_run(0)
                await self._pause(wait.delay or wait.first / 2)
            if self._stopping.is_set():
                return None

    def _place(self) -> Place:
        refuse_unsupported(self.pod)
        self._address = self._address or self._new_address()
        namespace = self.key.namespace
        volumes = prepare(
            self.pod,
            self._directory / ".volumes",  # no container can have that name
            lookup=lookup_for(Place(self.pod, self._directory, "", {}), self._machine),
            claim=lambda name: bound_claim(
                self._machine.lookup("persistentvolumeclaims", namespace, name), name, self._machine.volumes
            ),
        )
        self._directory.mkdir(parents=True, exist_ok=True)
        self.pod = with_status(self.pod, {**status_of(self.pod), "podIP": self._address, "hostIP": "127.0.0.1"})
        self._publish()
        return Place(self.pod, self._directory, self._address, volumes)

    def _new_address(self) -> str:
        spec = spec_of(self.pod)
        if spec.get("hostNetwork"):
            return "127.0.0.1"
        return allocate(uid_of(self.pod), used=self._addresses_in_use(), ports=container_ports(spec))

    def _cannot_mount(self, waiting: tuple[str, str]) -> None:
        self._machine.recorder.warning(self.pod, "FailedMount", waiting[1])
        self._waiting = waiting
        self._publish()

    async def _initialize(self, place: Place) -> bool:
        """Init containers in order; whether all of them succeeded. Adopted ones that did are not run again."""
        policy = "Never" if spec_of(self.pod).get("restartPolicy") == "Never" else "OnFailure"
        for spec in spec_of(self.pod).get("initContainers") or ():
            if await self._add(spec, place, policy).run() != 0:
                return False
        return True

    async def _run_containers(self, place: Place) -> None:
        policy = spec_of(self.pod).get("restartPolicy", "Always")
        async with asyncio.TaskGroup() as group:
            for container in [self._add(spec, place, policy) for spec in spec_of(self.pod)["containers"]]:
                group.create_task(container.run())

    def _add(self, spec: Object, place: Place, policy: str) -> Container:
        container = Container(spec, place=place, machine=self._machine, policy=policy, changed=self._publish)
        self._containers[spec["name"]] = container
        if self._stopping.is_set():
            container.stop(self._grace)
        return container

    async def _deadline(self) -> None:
        """activeDeadlineSeconds of the pod."""
        limit = spec_of(self.pod).get("activeDeadlineSeconds")
        if limit is None:
            return
        began = status_of(self.pod).get("startTime") or time_text(self._machine.clock())
        end = parse_time(began) + timedelta(seconds=limit)
        await asyncio.sleep(max(0.0, (end - self._machine.clock()).total_seconds()))
        self._verdict = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
        self._stop(None)

    async def _pause(self, seconds: float) -> None:
        self._poke.clear()
        if not self._stopping.is_set():
            await within(self._poke, seconds)

    # -- the object

    def _publish(self) -> None:
        """Writes the status when it differs. A pod that is gone needs none."""
        try:
            live = self._machine.registry.get("pods", *self.key)
            if uid_of(live) != uid_of(self.pod):
                return
            status = render(live, self._view(), now=self._machine.clock())
            if status != live.get("status"):
                written = with_status(live, status)
                self._machine.registry.update("pods", *self.key, written, subresource="status", manager="kubelet")
                self.pod = written
        except StatusError as error:
            if error.code != 404:
                raise

    def _view(self) -> PodView:
        spec = spec_of(self.pod)
        return PodView(
            address=self._address,
            init_containers=[self._container_view(one) for one in spec.get("initContainers") or ()],
            containers=[self._container_view(one) for one in spec["containers"]],
            verdict=self._verdict,
            mounted=self._mounted,
        )

    def _container_view(self, spec: Object) -> ContainerView:
        if spec["name"] in self._containers:
            return self._containers[spec["name"]].view
        view = published_view(self.pod, spec, waiting=self._waiting)
        never_ran = view.waiting is not None and view.last is None
        return replace(view, waiting=self._waiting) if never_ran else view

    def _remove_object(self) -> None:
        try:
            self._machine.registry.delete("pods", *self.key, uid=uid_of(self.pod), grace_period=0)
        except StatusError as error:
            if error.code not in {404, 409}:
                raise


async def end_processes(directory: Path) -> None:
    """Ends whatever still runs for a pod, without grace: for a pod whose object is gone or cannot be understood."""
    for container in _containers(directory):
        attempt = attempts.latest(container)
        if attempt is not None and attempt.alive():
            started = await attempt.recorded()
            if started is not None:
                started.signal_group(signal.SIGKILL)
            await attempt.gone()


def _containers(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.is_dir()] if directory.exists() else []


async def remove_directory(directory: Path) -> None:
    await end_processes(directory)
    await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
