"""What a list of 10,000 pods costs: CPU to decode and keep it, memory for each, and how long the loop stands still."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from tests.bench.figures import Figure

from llmkube.controllers.caches import caches
from llmkube.kube.client import Client
from llmkube.kube.config import ClusterConfig, StaticToken
from llmkube.kube.listing import PAGE
from llmkube.kube.transport import Transport

BEAT = 0.001
ENVIRONMENT = [{"name": f"VARIABLE_{number}", "value": "x" * 40} for number in range(20)]
LABELS = {
    "app.kubernetes.io/name": "llmkube",
    "app.kubernetes.io/instance": "chat",
    "inference.llmkube.dev/service": "chat",
}


def pod(number: int) -> dict[str, Any]:
    """As a real cluster gives it: about 6 KiB, a third of it managedFields."""
    name = f"chat-5d8f7c9b6d-{number:05}"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "chat-5d8f7c9b6d", "uid": "u", "controller": True}
    managed = {
        "manager": "kubelet",
        "operation": "Update",
        "fieldsV1": {f"f:field{i}": {"f:a": {}, "f:b": {}} for i in range(60)},
    }
    container = {"name": "engine", "image": "engine", "args": ["--model", "/models/m.gguf"] * 8, "env": ENVIRONMENT}
    state = {
        "name": "engine",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }
    conditions = [
        {"type": each, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        for each in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    metadata = {
        "name": name,
        "namespace": f"team-{number % 50}",
        "uid": f"uid-{number}",
        "resourceVersion": str(number + 1),
    }
    return {
        "metadata": {**metadata, "labels": LABELS, "ownerReferences": [owner], "managedFields": [managed]},
        "spec": {"nodeName": f"node-{number % 100}", "containers": [container]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": conditions, "containerStatuses": [state]},
    }


def pages(count: int) -> list[bytes]:
    """What the API server answers to a list in pages."""
    found = []
    for first in range(0, count, PAGE):
        last = first + PAGE >= count
        metadata = {"resourceVersion": str(count), **({} if last else {"continue": str(first // PAGE + 1)})}
        found.append(
            json.dumps(
                {"metadata": metadata, "items": [pod(n) for n in range(first, min(first + PAGE, count))]}
            ).encode()
        )
    return found


def serve(count: int, port: Any) -> None:
    """A process of its own: lists in pages, and then a watch in which nothing happens."""
    content = pages(count)

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            if request.query.get("sendInitialEvents"):
                return web.json_response({"code": 422, "reason": "Invalid"}, status=422)
            await asyncio.sleep(3600)
        return web.Response(body=content[int(request.query.get("continue", 0))], content_type="application/json")

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.put(site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]
        await asyncio.sleep(3600)

    asyncio.run(main())


def ours(count: int, port: int, result: Any) -> None:
    """The informer of pods with its indexes, as the operator has it."""

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

    async def main() -> None:
        async with Transport(ClusterConfig(f"http://127.0.0.1:{port}", "default", StaticToken())) as transport:
            informer = caches(Client(transport)).pods
            before, started = resident(), time.process_time()
            running = asyncio.create_task(informer.run())
            blocked = asyncio.create_task(longest_block(informer.synced))
            await informer.synced.wait()
            spent = time.process_time() - started
            assert len(informer.store) == count
            gc.collect()
            result.put((spent, (resident() - before) / count, await blocked))
            running.cancel()

    asyncio.run(main())


def plain(count: int, port: int, result: Any) -> None:
    """The peer: json.loads into a dict by key, nothing else."""
    import urllib.request

    before, started = resident(), time.process_time()
    known: dict[tuple[str, str], Any] = {}
    token = "0"
    while token:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/?continue={token}", timeout=60) as response:
            page = json.loads(response.read())
        for each in page["items"]:
            known[each["metadata"]["namespace"], each["metadata"]["name"]] = each
        token = page["metadata"].get("continue", "")
    spent = time.process_time() - started
    gc.collect()
    result.put((spent, (resident() - before) / count, 0.0))


async def longest_block(until: asyncio.Event) -> float:
    """The longest time in which the loop did not come round, in seconds."""
    longest, last = 0.0, time.perf_counter()
    while not until.is_set():
        await asyncio.sleep(BEAT)
        now = time.perf_counter()
        longest, last = max(longest, now - last - BEAT), now
    return longest


def resident() -> int:
    """Bytes of this process that are in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def measured(what: Callable[..., None], *args: Any) -> Any:
    """Run in a fresh process: memory and CPU are that of nothing else."""
    context = multiprocessing.get_context("spawn")
    result: Any = context.Queue()
    process = context.Process(target=what, args=(*args, result))
    process.start()
    found = result.get(timeout=300)
    process.join(30)
    return found


def figures(count: int) -> list[Figure]:
    context = multiprocessing.get_context("spawn")
    port: Any = context.Queue()
    server = context.Process(target=serve, args=(count, port), daemon=True)
    server.start()
    at = port.get(timeout=60)
    runs = [(measured(ours, count, at), measured(plain, count, at)) for _ in range(3)]
    server.terminate()
    cpu, size, block = (min(run[0][column] for run in runs) for column in range(3))
    peer_cpu, peer_size, _ = (min(run[1][column] for run in runs) for column in range(3))
    scale = count / 10_000
    return [
        Figure(f"list of {count:,} pods: decode and store", cpu, "s CPU", "limit", 1.0 * scale, at_least=False),
        Figure("  the same, against json.loads into a dict", cpu / peer_cpu, "of its CPU", "stdlib json"),
        Figure("  resident for each pod", size / 1024, "KiB", "limit", 8.0, at_least=False),
        Figure("  the same, against json.loads into a dict", size / peer_size, "of its memory", "stdlib json"),
        Figure("  longest block of the event loop", block * 1000, "ms", "limit", 50.0, at_least=False),
    ]
