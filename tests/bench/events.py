"""Watch events, from bytes of a stream through decoder, store, indexes and handlers into the queue."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Iterator
from typing import Any

from tests.bench.figures import Figure
from tests.bench.pods import pod
from tests.bench.store import measured, resident

from llmkube.controllers.setup import controllers
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.client import Client
from llmkube.kube.config import ClusterConfig, StaticToken
from llmkube.kube.transport import Transport
from llmkube.runtime.clock import SystemClock

PODS = 1000
TEMPLATES = 20_000


def lines(count: int) -> list[bytes]:
    """Pods that are made, change often, and go; as a JSON line each."""
    bodies = [json.dumps(pod(number)).encode() for number in range(PODS)]
    kinds = [b"ADDED"] * 1 + [b"MODIFIED"] * 18 + [b"DELETED"]
    found = []
    for number in range(count):
        of, turn = number % PODS, number // PODS
        version = b'"resourceVersion": "%d"' % (number + PODS)
        body = bodies[of].replace(b'"resourceVersion": "%d"' % (of + 1), version, 1)
        found.append(b'{"type": "%s", "object": %s}' % (kinds[turn % len(kinds)], body))
    return found


def renumbered(content: list[bytes], rounds: int) -> Iterator[bytes]:
    """The same again and again, each time with versions that go on."""
    for again in range(rounds):
        shift = again * len(content)
        for number, line in enumerate(content):
            if not shift:
                yield line
                continue
            old = b'"resourceVersion": "%d"' % (number + PODS)
            yield line.replace(old, b'"resourceVersion": "%d"' % (number + PODS + shift), 1)


def through(total: int, result: Any) -> None:
    """What the operator does with pods: their indexes and both controllers' handlers. Keys are taken in between."""

    async def main() -> None:
        client = Client(Transport(ClusterConfig("http://127.0.0.1:1", "default", StaticToken())))
        wiring = controllers(client, OperatorSettings(), SystemClock())
        informer = next(each for each in wiring.informers if each.name == "pods")
        watcher = informer._parts[0].watcher
        queues = [each.queue for each in wiring.controllers]
        content = lines(TEMPLATES)
        gc.collect()
        marks, spent = {}, 0.0
        batch: list[bytes] = []
        for number, line in enumerate(renumbered(content, -(-total // TEMPLATES)), 1):
            batch.append(line)
            if number % 1000 == 0:
                started = time.process_time()
                for each in batch:
                    watcher._take(each)
                spent += time.process_time() - started
                batch.clear()
                for queue in queues:
                    while queue.statistics().ready:
                        queue.done(await queue.get())
            if number in (total // 10, total):
                gc.collect()
                marks[number] = resident()
        result.put((total / spent, marks[total] / marks[total // 10], len(informer.store)))

    asyncio.run(main())


def figures(total: int) -> list[Figure]:
    rate, growth, _ = measured(through, total)
    return [
        Figure("watch events through store, indexes and queue", rate, "events/s of CPU", "limit", 20_000),
        Figure(f"  memory after {total:,} of them", growth, f"of that after {total // 10:,}", "", 1.05, at_least=False),
    ]
