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

from llmkube.cli.operator import spare_the_collector
from llmkube.controllers.setup import Wiring, controllers
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.client import Client
from llmkube.kube.config import ClusterConfig, StaticToken
from llmkube.kube.objects import CustomResource, ObjectMeta
from llmkube.kube.transport import Transport
from llmkube.runtime.clock import SystemClock

PODS = 1000
TEMPLATES = 20_000
BATCH = 1000


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


def numbered(content: list[bytes], first: int) -> Iterator[bytes]:
    """So many from the one that is `first` in all: the same again and again, each time with versions that go on."""
    shift = first - first % len(content)
    for number in range(first % len(content), first % len(content) + BATCH):
        old = b'"resourceVersion": "%d"' % (number + PODS)
        yield content[number].replace(old, b'"resourceVersion": "%d"' % (number + PODS + shift), 1)


def services(wiring: Wiring) -> None:
    """One in each namespace that has pods: every event of a pod is then one more wish to reconcile it."""
    informer = next(each for each in wiring.informers if each.name == "inferenceservices.inference.llmkube.dev")
    for namespace in {pod(number)["metadata"]["namespace"] for number in range(PODS)}:
        metadata = ObjectMeta(name="chat", namespace=namespace, uid=namespace, resource_version="1")
        informer.store.apply(CustomResource(metadata=metadata))


def through(total: int, result: Any) -> None:
    """What the operator does with pods: their indexes and both controllers' handlers. Keys are taken in between."""

    async def main() -> None:
        client = Client(Transport(ClusterConfig("http://127.0.0.1:1", "default", StaticToken())))
        wiring = controllers(client, OperatorSettings(), SystemClock())
        services(wiring)
        informer = next(each for each in wiring.informers if each.name == "pods")
        watcher = informer._parts[0].watcher
        content = lines(TEMPLATES)
        spare_the_collector()
        marks, spent, taken = {}, 0.0, 0
        for first in range(0, total, BATCH):
            batch = list(numbered(content, first))
            started = time.process_time()
            for each in batch:
                watcher._take(each)
            spent += time.process_time() - started
            for queue in (each.queue for each in wiring.controllers):
                while queue.statistics().ready:
                    queue.done(await queue.get())
                    taken += 1
            if first + BATCH in (total // 10, total):
                gc.collect()
                marks[first + BATCH] = resident()
        assert informer.statistics().events == total
        assert taken == total // BATCH * 50, "each batch has pods of all services"
        result.put((total / spent, marks[total] / marks[total // 10]))

    asyncio.run(main())


def figures(total: int) -> list[Figure]:
    rate, growth = measured(through, total)
    return [
        Figure("watch events through store, indexes, handlers and queue", rate, "events/s of CPU", "limit", 20_000),
        Figure(f"  memory after {total:,} of them", growth, f"of that after {total // 10:,}", "", 1.05, at_least=False),
    ]
