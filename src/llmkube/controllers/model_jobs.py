"""The Jobs of a Model by what they are for: fetch, collect, recheck."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.labels import COMPONENT
from llmkube.kube.kinds import JOB

if TYPE_CHECKING:
    from llmkube.controllers.caches import Caches
    from llmkube.desired.labels import Component
    from llmkube.kube.apply import Applier
    from llmkube.kube.objects import CustomResource, Job


async def only(
    caches: Caches, applier: Applier, model: CustomResource, component: Component, *, keep: str
) -> Job | None:
    """Delete the Model's Jobs of a component but the one named `keep`, and return that one."""
    kept: Job | None = None
    for job in caches.jobs.store.by_index("owner", model.metadata.uid):
        if job.metadata.labels.get(COMPONENT) != component:
            continue
        if job.metadata.name == keep:
            kept = job
        else:
            await applier.delete(JOB, job)
    return kept
