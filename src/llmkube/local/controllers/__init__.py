"""The controllers of local mode: what a kube-controller-manager, kube-scheduler and kube-proxy do, on one machine."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from llmkube.local.controllers.cluster import Cluster
from llmkube.local.controllers.deployments import Deployments
from llmkube.local.controllers.expiry import EventExpiry
from llmkube.local.controllers.garbage import Garbage
from llmkube.local.controllers.jobs import Jobs
from llmkube.local.controllers.loop import Loop, Reconciler
from llmkube.local.controllers.namespaces import Namespaces
from llmkube.local.controllers.proxy import Proxy
from llmkube.local.controllers.replicasets import ReplicaSets
from llmkube.local.controllers.scheduler import Scheduler
from llmkube.local.controllers.services import Services
from llmkube.local.controllers.volumes import Volumes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmkube.local.objects import Clock, Registry


def utc_now() -> datetime:
    return datetime.now(UTC)


async def run_controllers(registry: Registry, *, volumes: Path, clock: Clock = utc_now) -> None:
    """Runs every controller until cancelled. Claims get directories under `volumes`."""
    async with asyncio.TaskGroup() as group:
        proxy = Proxy(Cluster.of(registry, Proxy.name, clock), group)
        try:
            async with asyncio.TaskGroup() as loops:
                for reconciler in _reconcilers(registry, volumes, clock):
                    loops.create_task(Loop(registry, reconciler).run(), name=reconciler.name)
                loops.create_task(Loop(registry, proxy).run(), name=proxy.name)
        finally:
            proxy.close()


def _reconcilers(registry: Registry, volumes: Path, clock: Clock) -> list[Reconciler[Any]]:
    makers: list[Callable[[Cluster], Reconciler[Any]]] = [
        Deployments,
        ReplicaSets,
        Jobs,
        Scheduler,
        Services,
        Garbage,
        Namespaces,
        EventExpiry,
        lambda cluster: Volumes(cluster, volumes),
    ]
    return [make(Cluster.of(registry, "local-controllers", clock)) for make in makers]
