"""What a list of 10,000 pods costs: CPU to decode and keep it, memory for each, and how long the loop stands still."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import multiprocessing
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import kubernetes_asyncio
import structlog
from tests.bench.figures import Figure
from tests.bench.pods import PAGE, pod, served

from llmkube.cli.operator import spare_the_collector
from llmkube.controllers.setup import controllers
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.client import Client
from llmkube.kube.config import ClusterConfig, StaticToken
from llmkube.kube.transport import Transport
from llmkube.runtime.clock import SystemClock

BEAT = 0.001
ROUNDS = 3


class Cost(NamedTuple):
    """CPU in seconds, memory in bytes for each object, the longest block in seconds: as it was, and its CPU alone."""

    cpu: float
    size: float
    block: float = 0.0
    block_cpu: float = 0.0


def ours(count: int, server: str, result: Any) -> None:
    """The informer of pods as the operator has it: indexes, both controllers' handlers, a spared collector."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

    async def main() -> None:
        async with Transport(ClusterConfig(server, "default", StaticToken())) as transport:
            wiring = controllers(Client(transport), OperatorSettings(), SystemClock())
            informer = next(each for each in wiring.informers if each.name == "pods")
            spare_the_collector()
            before, started = resident(), time.process_time()
            running = asyncio.create_task(informer.run())
            blocked = asyncio.create_task(longest_block(informer.synced))
            await informer.synced.wait()
            spent = time.process_time() - started
            assert len(informer.store) == count
            blocks = await blocked
            gc.collect()
            result.put(Cost(spent, (resident() - before) / count, *blocks))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def plain(count: int, server: str, result: Any) -> None:
    """json.loads into a dict by key, nothing else."""
    before, started = resident(), time.process_time()
    known: dict[tuple[str, str], Any] = {}
    token = "0"
    while token:
        with urllib.request.urlopen(f"{server}/api/v1/pods?continue={token}", timeout=60) as response:
            page = json.loads(response.read())
        for each in page["items"]:
            known[each["metadata"]["namespace"], each["metadata"]["name"]] = each
        token = page["metadata"].get("continue", "")
    spent = time.process_time() - started
    assert len(known) == count
    gc.collect()
    result.put(Cost(spent, (resident() - before) / count))


def kubernetes_client(count: int, server: str, result: Any) -> None:
    """The list call of kubernetes-asyncio, into a dict by key."""

    async def main() -> None:
        configuration = kubernetes_asyncio.client.Configuration(host=server)
        async with kubernetes_asyncio.client.ApiClient(configuration) as client:
            core = kubernetes_asyncio.client.CoreV1Api(client)
            before, started, done = resident(), time.process_time(), asyncio.Event()
            blocked = asyncio.create_task(longest_block(done))
            known: dict[tuple[str, str], Any] = {}
            token = "0"
            while token:
                page = await core.list_pod_for_all_namespaces(limit=PAGE, _continue=token)
                known |= {(each.metadata.namespace, each.metadata.name): each for each in page.items}
                token = page.metadata._continue
            spent = time.process_time() - started
            done.set()
            blocks = await blocked
            assert len(known) == count
            gc.collect()
            result.put(Cost(spent, (resident() - before) / count, *blocks))

    asyncio.run(main())


async def longest_block(until: asyncio.Event) -> tuple[float, float]:
    """The longest time in which the loop did not come round, and the most CPU that it took for one round."""
    longest, busiest = 0.0, 0.0
    last, used = time.perf_counter(), time.thread_time()
    while not until.is_set():
        await asyncio.sleep(BEAT)
        now, spent = time.perf_counter(), time.thread_time()
        longest, busiest = max(longest, now - last - BEAT), max(busiest, spent - used)
        last, used = now, spent
    return longest, busiest


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


def best(costs: list[Cost]) -> Cost:
    """The least of each: what else the machine does only ever adds."""
    return Cost(*map(min, zip(*costs, strict=True)))


def figures(count: int) -> list[Figure]:
    """By turns, each in a process of its own."""
    runs: dict[str, list[Cost]] = {}
    with served(count) as server:
        for _ in range(ROUNDS):
            runs.setdefault("pages", []).append(measured(ours, count, f"{server}/pages"))
            runs.setdefault("events", []).append(measured(ours, count, f"{server}/events"))
            runs.setdefault("json", []).append(measured(plain, count, f"{server}/pages"))
        runs["client"] = [measured(kubernetes_client, count, f"{server}/pages")]
    pages, events, stdlib, client = (best(runs[name]) for name in ("pages", "events", "json", "client"))
    size = len(json.dumps(pod(0)))
    return [
        *costs(f"list of {count:,} pods of {size:,} bytes", pages, count),
        Figure("  its CPU", pages.cpu / stdlib.cpu, f"of {stdlib.cpu:.2f} s", "json.loads into a dict"),
        Figure("  its memory", pages.size / stdlib.size, f"of {stdlib.size / 1024:.1f} KiB", "json.loads into a dict"),
        Figure("  its CPU", pages.cpu / client.cpu, f"of {client.cpu:.2f} s", "kubernetes-asyncio"),
        Figure("  its memory", pages.size / client.size, f"of {client.size / 1024:.1f} KiB", "kubernetes-asyncio"),
        Figure("  its longest block", pages.block / client.block, f"of {client.block:.2f} s", "kubernetes-asyncio"),
        *costs(f"the same {count:,} by a watch that begins with them", events, count),
    ]


def costs(name: str, cost: Cost, count: int) -> list[Figure]:
    return [
        Figure(f"{name}: decode and store", cost.cpu, "s CPU", "limit", count / 10_000, at_least=False),
        Figure("  resident for each", cost.size / 1024, "KiB", "limit", 8.0, at_least=False),
        Figure("  longest block of the event loop", cost.block * 1000, "ms", "limit", 50.0, at_least=False),
        Figure("  most CPU in one round of the loop", cost.block_cpu * 1000, "ms"),
    ]
