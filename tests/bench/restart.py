"""A restart of the operator where everything is there already: how long it takes, and what it writes, which is nothing.

A service is four objects that it keeps in memory: InferenceService, Service, Deployment and EndpointSlice.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

from tests.bench.contenders import llmkube
from tests.bench.convergence import NAMESPACE, prepared, served
from tests.bench.figures import Figure
from tests.component.operator.process import Operator

OBJECTS = 4
SERVICES = 10_000 // OBJECTS


def figures(count: int) -> list[Figure]:
    """With so many services, on a real API server."""
    with served() as (home, source):
        return asyncio.run(measure(home, source, count))


async def measure(home: Path, source: str, count: int) -> list[Figure]:
    async with prepared(home, source, count) as bench:
        await bench.converge(llmkube(bench.kubeconfig, home / "first.log"))
        return await asyncio.to_thread(again, bench.kubeconfig, home / "again.log", count)


def again(kubeconfig: Path, log: Path, count: int) -> list[Figure]:
    started = time.perf_counter()
    with Operator(kubeconfig, log, "--no-leader-elect", "--namespace", NAMESPACE) as operator:
        health = Health(operator)
        operator.until(lambda: health.page("/livez") and health.page("/readyz"))
        synced = time.perf_counter() - started
        seen = partial(operator.metric, "controller_runtime_reconcile_total", controller="inferenceservice")
        operator.until(lambda: health.page("/livez") and seen() >= count)
        looked_at = time.perf_counter() - started
        kept = operator.metric("informer_objects")
        writes = operator.settled()
    return [
        Figure(f"restart at {kept:,.0f} objects: from exec to synced", synced, "s"),
        Figure("  from exec to each of the services reconciled", looked_at, "s"),
        Figure("  longest that /livez or /readyz took meanwhile", 1000 * health.longest, "ms"),
        Figure("  writes", writes, "writes", "limit", 0, at_least=False),
    ]


class Health:
    """Asks after an operator's health, and keeps the longest time that an answer took: what holds up its loop shows."""

    def __init__(self, operator: Operator) -> None:
        self.longest = 0.0
        self._operator = operator

    def page(self, path: str) -> str:
        started = time.perf_counter()
        found = self._operator.page(path)
        self.longest = max(self.longest, time.perf_counter() - started)
        return found
