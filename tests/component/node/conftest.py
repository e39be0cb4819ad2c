"""A whole local machine without its HTTP API: registry, controllers and node, with real processes."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import os
import signal
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llmkube.local.controllers import run_controllers
from llmkube.local.node.backoff import Backoff
from llmkube.local.node.node import Node
from llmkube.local.objects import StatusError, key_of, labels_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE = 30.0
TICK = 0.02


@dataclass(frozen=True)
class Change:
    type: str
    resource: str
    object: dict[str, Any]
    old: dict[str, Any] | None = None


class MemoryRegistry:
    """The registry in memory: optimistic writes, status apart from spec, finalizers, graceful pod deletion."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._callbacks: list[Callable[[Change], None]] = []
        self._version = 0

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def get(self, resource: str, namespace: str | None, name: str) -> dict[str, Any]:
        return copy.deepcopy(self._stored(resource, namespace, name))

    def list(
        self, resource: str, namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> list[dict[str, Any]]:
        wanted = dict(part.split("=") for part in label_selector.split(",") if part)
        return [
            copy.deepcopy(obj)
            for (kind, where, _), obj in self._objects.items()
            if kind == resource and namespace in {None, where} and wanted.items() <= labels_of(obj).items()
        ]

    def create(
        self, resource: str, namespace: str | None, obj: dict[str, Any], *, manager: str = "", dry_run: bool = False
    ) -> dict[str, Any]:
        obj = copy.deepcopy(obj)
        meta = obj["metadata"]
        if (resource, namespace or "", meta["name"]) in self._objects:
            raise StatusError(409, "AlreadyExists", f"{resource} {meta['name']} already exists")
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        meta |= {"uid": str(uuid.uuid4()), "generation": 1, "creationTimestamp": now}
        meta |= {"namespace": namespace} if namespace else {}
        return self._store("ADDED", resource, obj, None)

    def update(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        obj: dict[str, Any],
        *,
        subresource: str = "",
        manager: str = "",
    ) -> dict[str, Any]:
        old = self._stored(resource, namespace, name)
        if obj["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise StatusError(409, "Conflict", f"{resource} {name} has changed")
        kept = old if subresource == "status" else obj
        chosen = obj if subresource == "status" else old
        new = copy.deepcopy({**kept, **({"status": chosen["status"]} if "status" in chosen else {})})
        if new == old:
            return new
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] += 1
        meta = new["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and "deletionGracePeriodSeconds" not in meta:
            return self._remove(resource, new)
        return self._store("MODIFIED", resource, new, old)

    def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        propagation: str = "Background",
        uid: str | None = None,
        grace_period: int | None = None,
    ) -> dict[str, Any]:
        old = self._stored(resource, namespace, name)
        obj = copy.deepcopy(old)
        meta = obj["metadata"]
        if uid not in {None, meta["uid"]}:
            raise StatusError(409, "Conflict", f"{resource} {name} has another uid")
        graceful = resource == "pods" and "nodeName" in obj["spec"] and grace_period != 0
        if not graceful and not meta.get("finalizers"):
            return self._remove(resource, obj)
        if meta.get("deletionTimestamp"):
            return obj
        meta["deletionTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if graceful:
            grace = obj["spec"].get("terminationGracePeriodSeconds", 30) if grace_period is None else grace_period
            meta["deletionGracePeriodSeconds"] = grace
        return self._store("MODIFIED", resource, obj, old)

    def _stored(self, resource: str, namespace: str | None, name: str) -> dict[str, Any]:
        try:
            return self._objects[resource, namespace or "", name]
        except KeyError:
            raise StatusError(404, "NotFound", f"{resource} {name} not found") from None

    def _store(self, kind: str, resource: str, obj: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        self._objects[(resource, *key_of(obj))] = obj
        return self._tell(kind, resource, obj, old)

    def _remove(self, resource: str, obj: dict[str, Any]) -> dict[str, Any]:
        return self._tell("DELETED", resource, obj, self._objects.pop((resource, *key_of(obj))))

    def _tell(self, kind: str, resource: str, obj: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
        for callback in list(self._callbacks):
            callback(Change(kind, resource, copy.deepcopy(obj), copy.deepcopy(old)))
        return copy.deepcopy(obj)


class Machine:
    """One LLMKube machine; `restart_node` is what a supervisor that was killed and started again does."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.registry = MemoryRegistry()
        self.node: Node
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.node = Node(self.registry, self.home, backoff=Backoff(first=0.2))
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.node.run())
            group.create_task(run_controllers(self.registry, volumes=self.home / "volumes"))

    async def abandon(self) -> None:
        """The control plane goes, as when it is killed: the processes stay."""
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def restart(self) -> None:
        await self.abandon()
        self.start()

    async def close(self) -> None:
        for pod in self.registry.list("pods"):
            self._end_by_force(pod)
        await self.node.stop_pods()
        await self.abandon()

    def _end_by_force(self, pod: dict[str, Any]) -> None:
        for pid in pids(pod):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    # -- objects

    def create(self, resource: str, obj: dict[str, Any]) -> dict[str, Any]:
        return self.registry.create(resource, "default", obj)

    def get(self, resource: str, name: str) -> dict[str, Any]:
        return self.registry.get(resource, "default", name)

    def pods(self) -> list[dict[str, Any]]:
        return self.registry.list("pods", "default")

    def edit(self, resource: str, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        obj = self.get(resource, name)
        change(obj)
        self.registry.update(resource, "default", name, obj)

    async def until(self, condition: Callable[[], Any]) -> Any:
        """The first true value of the condition; objects and files that are not there yet make it false."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    with contextlib.suppress(StatusError, KeyError, IndexError, FileNotFoundError):
                        if value := condition():
                            return value
                    await asyncio.sleep(TICK)
        except TimeoutError:
            states = [(pod["metadata"]["name"], pod.get("status")) for pod in self.pods()]
            events = [(one["reason"], one["message"]) for one in self.registry.list("events")]
            pytest.fail(f"never became true; pods {states}; events {events}")

    async def gone(self, resource: str, name: str) -> None:
        def is_gone() -> bool:
            try:
                self.get(resource, name)
            except StatusError as error:
                return error.code == 404
            return False

        await self.until(is_gone)

    async def running(self, name: str) -> dict[str, Any]:
        return await self.until(lambda: pod if pids(pod := self.get("pods", name)) else None)

    async def ended(self, name: str) -> dict[str, Any]:
        def is_over() -> dict[str, Any] | None:
            pod = self.get("pods", name)
            return pod if pod["status"]["phase"] in {"Succeeded", "Failed"} else None

        return await self.until(is_over)

    async def log(self, pod: str, container: str = "", **options: Any) -> str:
        pieces = [piece async for piece in await self.node.log_reader.logs("default", pod, container, **options)]
        return b"".join(pieces).decode()


def pids(pod: dict[str, Any]) -> list[int]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    running = [one["containerID"] for one in statuses if "running" in one["state"]]
    return [int(identity.removeprefix("process://").partition(".")[0]) for identity in running]


def container_state(pod: dict[str, Any]) -> dict[str, Any]:
    return pod["status"]["containerStatuses"][0]["state"]


@pytest.fixture
async def machine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Machine]:
    one = Machine(tmp_path)
    one.start()
    yield one
    await one.close()
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == []


@pytest.fixture
def state_of() -> Callable[[dict[str, Any]], dict[str, Any]]:
    return container_state


@pytest.fixture
def pids_of() -> Callable[[dict[str, Any]], list[int]]:
    return pids


@pytest.fixture
def shell_pod() -> Callable[..., dict[str, Any]]:
    """A pod that runs a shell script."""

    def make(
        name: str, script: str, *, policy: str = "Never", container: dict[str, Any] | None = None, **spec: Any
    ) -> dict[str, Any]:
        main = {"name": "main", "image": "busybox", "command": ["sh", "-c", script], **(container or {})}
        body = {"restartPolicy": policy, "terminationGracePeriodSeconds": 5, "containers": [main], **spec}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}

    return make


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    return lambda pid: Path(f"/proc/{pid}").exists()


@pytest.fixture
def parent_of() -> Callable[[int], int]:
    return lambda pid: int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
