"""The part of a Model's reconcile that has bytes of before collected, once no pod and no Deployment uses them.

It works only while the current bytes are verified and in the same claim; what a claim of before holds stays there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llmkube.controllers.caches import MADE_BY_US
from llmkube.controllers.indexes import bytes_of, has_pods_of_before, serves
from llmkube.controllers.model_jobs import only
from llmkube.controllers.refusal import refusal
from llmkube.desired.fetch_result import Done
from llmkube.desired.fetch_retry import PAUSE_SECONDS, retry
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import clock_time
from llmkube.desired.retained import Place, kept_digests, place, retained
from llmkube.desired.upkeep_job import collect_job, collect_job_name
from llmkube.kube.errors import ApiError
from llmkube.kube.kinds import DEPLOYMENT, JOB, POD, Key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.api.model import Retained
    from llmkube.controllers.caches import Caches
    from llmkube.desired.fetch_retry import Retry
    from llmkube.desired.model_status import Sight
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.apply import Applier
    from llmkube.kube.client import Client
    from llmkube.kube.objects import CustomResource, Deployment, Job, Pod
    from llmkube.runtime.clock import Clock

SOON = 2.0
"""Seconds until the next step, once a status says what the last one came to."""


@dataclass(frozen=True, slots=True)
class ModelCollection:
    """Collection Jobs of Models."""

    caches: Caches
    client: Client
    applier: Applier
    settings: OperatorSettings
    clock: Clock

    async def advance(self, model: CustomResource, sight: Sight) -> Sight:
        """Return the sight with what is gone, after making the Job that takes away what nobody uses."""
        namespace = model.metadata.namespace
        kept, lost = self._there(namespace, sight)
        sight = replace(sight, gone=lost)
        unused = [each for each in kept if each.claim == sight.claim and not self._is_used(namespace, each)]
        if not unused or sight.target is None or not isinstance(sight.fetch, Done) or sight.verdict or not sight.spec:
            await self.stop(model)
            return sight
        if sight.previous.sha256 != sight.fetch.sha256:
            return replace(sight, retry_in=SOON)  # nobody has been told yet that there is something newer to serve
        keep = kept_digests(sight.fetch, [each for each in kept if each not in unused])
        name = collect_job_name(model.metadata.name, sight.target, keep=keep)
        job = await self.stop(model, keep=name)
        if job is None and await self._may_be_used(namespace, unused):
            return replace(sight, retry_in=SOON)
        if job is None:
            wanted = collect_job(model, sight.spec, self.settings, sight.target, done=sight.fetch, keep=keep)
            return await self._begun(sight, wanted)
        if _is(job, "Complete"):
            return replace(sight, gone=lost | {place(each) for each in unused}, retry_in=SOON)
        if (again := retry(job, is_mendable=True)) is not None:
            return await self._failed(sight, job, again)
        return sight

    async def _may_be_used(self, namespace: str, unused: Iterable[Retained]) -> bool:
        """Ask the API server itself: caches may be behind, of pods whose Deployment is gone, of one that has none yet.

        While a Deployment of the namespace rolls out nothing is taken away: what it rolls away from may be in another
        claim than what it rolls to, and pods come and go between the two answers.
        """
        deployments = await self.client.list(DEPLOYMENT, namespace, label_selector=MADE_BY_US)
        if any(map(has_pods_of_before, deployments)):
            return True
        users: tuple[Deployment | Pod, ...] = (
            *deployments,
            *await self.client.list(POD, namespace, label_selector=MADE_BY_US),
        )
        keys = [bytes_of(namespace, each.claim, each.sha256) for each in unused]
        return any(serves(each, key) for each in users for key in keys)

    async def _begun(self, sight: Sight, wanted: dict[str, Any]) -> Sight:
        """A quota or a policy in the way is told, and holds nothing else up."""
        try:
            await self.applier.apply(JOB, wanted, None)
        except ApiError as error:
            if (refused := refusal(error)) is None:
                raise
            trouble = Trouble("CollectionFailed", refused.message)
            return replace(sight, remark=sight.remark or trouble, retry_in=PAUSE_SECONDS)
        return sight

    async def _failed(self, sight: Sight, job: Job, again: Retry) -> Sight:
        """It is no harm but for the room that it takes: told, and tried again."""
        left = again.seconds(now=self.clock.now())
        if left == 0:
            await self.applier.delete(JOB, job)
        line = f"Job {job.metadata.name} could not take bytes of before out of PersistentVolumeClaim {sight.claim}"
        told = f"{line}; its log says why, and it is tried again at about {clock_time(again.at)}"
        return replace(sight, remark=sight.remark or Trouble("CollectionFailed", told), retry_in=left or SOON)

    async def stop(self, model: CustomResource, *, keep: str = "") -> Job | None:
        """Delete the Model's collection Jobs but the one named `keep`, and return that one."""
        return await only(self.caches, self.applier, model, "collect", keep=keep)

    def _there(self, namespace: str, sight: Sight) -> tuple[tuple[Retained, ...], frozenset[Place]]:
        """What is kept of before, and what went with its claim."""
        current = Place(sight.claim, sight.fetch.sha256) if sight.claim and isinstance(sight.fetch, Done) else None
        entries = retained(sight.previous, current=current)
        claims = self.caches.claims.store
        there = tuple(each for each in entries if claims.get(Key(namespace, each.claim)) is not None)
        return there, frozenset(place(each) for each in entries if each not in there)

    def _is_used(self, namespace: str, entry: Retained) -> bool:
        return self.caches.uses(namespace, entry.claim, entry.sha256)


def _is(job: Job, kind: str) -> bool:
    return any(each.type == kind and each.status == "True" for each in job.status.conditions)
