"""The API server of the bench, asked by a bare client: no cache, no retries, nothing between aiohttp and the wire."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import yaml
from tests.conformance.backends import access_of, context_of

PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Service": "/api/v1/namespaces/{namespace}/services",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "Model": "/apis/inference.llmkube.dev/v1alpha1/namespaces/{namespace}/models",
    "InferenceService": "/apis/inference.llmkube.dev/v1alpha1/namespaces/{namespace}/inferenceservices",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}
# Controllers of Kubernetes itself update, but for events.
WRITE = re.compile(r'apiserver_request_total\{(?!.*resource="events").*verb="(?:APPLY|PATCH)"')
QUIET = 2.0
PATIENCE = 60.0
APPLY = {"Content-Type": "application/apply-patch+yaml"}


class Counted(NamedTuple):
    """Requests that applied or patched, and seconds of CPU, since the API server began."""

    writes: float
    cpu: float


class Server:
    """One session to the API server of a kubeconfig."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    @classmethod
    async def connect(cls, kubeconfig: Path) -> Server:
        cluster, user = access_of(yaml.safe_load(kubeconfig.read_text()))
        connector = aiohttp.TCPConnector(ssl=context_of(cluster, user), limit=0)
        return cls(cluster["server"], aiohttp.ClientSession(connector=connector))

    async def close(self) -> None:
        await self._session.close()

    def path(self, kind: str, namespace: str, name: str = "", subresource: str = "") -> str:
        rest = "".join(f"/{each}" for each in (name, subresource) if each)
        return self._url + PATHS[kind].format(namespace=namespace) + rest

    async def apply(self, obj: dict[str, Any], *, manager: str = "bench") -> None:
        """Server-side apply; an object with a status goes to /status."""
        metadata = obj["metadata"]
        where = self.path(
            obj["kind"], metadata.get("namespace", ""), metadata["name"], "status" if "status" in obj else ""
        )
        params = {"fieldManager": manager, "force": "true"}
        async with self._session.patch(where, params=params, data=json.dumps(obj), headers=APPLY) as response:
            if response.status >= 400:
                raise RuntimeError(f"{response.status}: {await response.text()}")
            await response.read()

    async def apply_all(self, objects: Iterable[dict[str, Any]], *, at_once: int) -> float:
        """Apply everything, so many at once; the applies in a second."""
        left, count, started = iter(objects), 0, time.perf_counter()

        async def work() -> None:
            nonlocal count
            for each in left:
                await self.apply(each)
                count += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
        return count / (time.perf_counter() - started)

    async def get(self, kind: str, namespace: str, name: str = "") -> Any:
        async with self._session.get(self.path(kind, namespace, name)) as response:
            return await response.json()

    async def until_served(self, kind: str, namespace: str) -> None:
        """Wait for a new kind, which is served a moment after its definition is there."""
        async with asyncio.timeout(PATIENCE):
            while True:
                async with self._session.get(self.path(kind, namespace)) as response:
                    if response.status == 200:
                        return
                await asyncio.sleep(0.2)

    async def counted(self) -> Counted:
        """What it says of itself in its metrics."""
        async with self._session.get(f"{self._url}/metrics") as response:
            lines = (await response.text()).splitlines()
        cpu = next(float(each.split()[1]) for each in lines if each.startswith("process_cpu_seconds_total "))
        return Counted(sum(float(each.rpartition(" ")[2]) for each in lines if WRITE.match(each)), cpu)

    async def settled(self) -> Counted:
        """Wait until nobody has applied or patched anything for a while."""
        before = await self.counted()
        while True:
            await asyncio.sleep(QUIET)
            after = await self.counted()
            if after.writes == before.writes:
                return after
            before = after

    async def arrivals(self, kind: str, namespace: str) -> AsyncGenerator[float, None]:
        """When each object of a kind was seen for the first time."""
        params = {
            "watch": "1",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
        }
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.get(
            self.path(kind, namespace), params=params, timeout=timeout, headers={}
        ) as response:
            pending = b""
            async for chunk in response.content.iter_any():
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b'{"type":"ADDED"'):
                        yield time.perf_counter()
