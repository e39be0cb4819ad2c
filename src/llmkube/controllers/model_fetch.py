"""The part of a Model's reconcile that touches its claim and its fetch Job.

A Job is made when there is none of its name, never changed; one whose name no longer fits is deleted. It must never
start a fetch into a claim that it does not know the uid of: a claim that was made anew is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmkube.controllers.model_jobs import only
from llmkube.desired import cache, fetch_job
from llmkube.desired.claim_trouble import claim_trouble, several_nodes
from llmkube.desired.fetch_result import Done, Failure, Tick
from llmkube.desired.fetch_retry import MENDED_ELSEWHERE, retry
from llmkube.desired.fetch_state import Lost, fetch_state
from llmkube.desired.pod_trouble import is_running
from llmkube.kube.apply import LONGEST_WAIT
from llmkube.kube.kinds import JOB, PVC, Key, key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.api.model import ModelSpec, ModelStatus
    from llmkube.controllers.caches import Caches
    from llmkube.controllers.claim_growth import ClaimGrowth
    from llmkube.controllers.progress import ProgressReader
    from llmkube.desired.fetch_retry import Retry
    from llmkube.desired.fetch_state import FetchState
    from llmkube.desired.model_status import Sight
    from llmkube.desired.pod_trouble import Trouble
    from llmkube.desired.resolution import Known
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.apply import Applier
    from llmkube.kube.objects import CustomResource, Job, PersistentVolumeClaim, Pod
    from llmkube.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class ModelFetch:
    """Claims and Jobs of Models."""

    caches: Caches
    applier: Applier
    progress: ProgressReader
    growth: ClaimGrowth
    settings: OperatorSettings
    clock: Clock

    async def advance(self, model: CustomResource, sight: Sight, spec: ModelSpec, known: Known) -> Sight:
        """Return the sight with what is known of claim and fetch, after making the one that there was none of."""
        name = cache.claim_name(spec, model.metadata.name) or ""
        claim = self.caches.claims.store.get(Key(model.metadata.namespace, name))
        held = claim_trouble(model, spec, known, name=name, live=claim)
        if claim is None:
            await self.stop(model)
            is_made = held is not None or await self._make(model, spec, known)
            return replace(sight, held=held, retry_in=None if is_made else LONGEST_WAIT)
        held = await self._grow(model, sight, spec, known, claim, held=held)
        nodes = self.caches.nodes_of_claim(claim)
        remark = sight.remark or several_nodes(claim, nodes)
        target = _target(spec, known, claim, nodes)
        sight = replace(sight, held=held, claim=name, target=target, remark=remark)
        if claim.metadata.deletion_timestamp is not None:
            return await self._let_go(model, sight, spec, target)
        sight = await self._fetch(model, sight, spec, target)
        again = self.growth.again(key_of(model), sight.held)
        return replace(sight, retry_in=again or sight.retry_in)  # what is held has no Job that could be tried again

    def forget(self, key: Key) -> None:
        """The Model is gone, or its spec is refused: nothing is read or remembered of it."""
        self.progress.leave(key)
        self.growth.forget(key)

    async def stop(self, model: CustomResource, *, keep: str = "") -> Job | None:
        """Delete the Model's fetch Jobs but the one named `keep`, and return that one."""
        kept = await only(self.caches, self.applier, model, "fetch", keep=keep)
        if kept is None:
            self.progress.leave(key_of(model))
        return kept

    async def _make(self, model: CustomResource, spec: ModelSpec, known: Known) -> bool:
        """Make the claim that nobody has seen yet; whether it was this Model that did.

        Others may want the shared one at the same time, larger or smaller: the first makes it, and each takes it as it
        is. It may go again before anybody has seen it, so that who has not made it is to look again.
        """
        wanted, owner = cache.claim(model, spec, size_bytes=known.bytes_needed or 0), key_of(model)
        if wanted is None:
            return True
        if spec.cache.mode == "Shared":
            return await self.applier.create(PVC, wanted, owner=owner) is not None
        await self.applier.apply(PVC, wanted, None, owner=owner)
        return True

    async def _grow(
        self,
        model: CustomResource,
        sight: Sight,
        spec: ModelSpec,
        known: Known,
        claim: PersistentVolumeClaim,
        *,
        held: Trouble | None,
    ) -> Trouble | None:
        """What is fetched anew needs room beside what serves; without it the fetch says how much is missing."""
        if held is not None and held.reason != "ClaimTooSmall":
            return held
        size = (known.bytes_needed or 0) + _kept(sight.previous, claim.metadata.name, known)
        refused = await self.growth.grow(model, spec, claim, size_bytes=size)
        return refused if held else None

    async def _let_go(self, model: CustomResource, sight: Sight, spec: ModelSpec, target: fetch_job.Target) -> Sight:
        """Pods that are done hold a claim that is being deleted as others do: no Job of ours may have any.

        Whoever serves from it goes on; what was fetched is remembered until the claim has gone.
        """
        await self.stop(model)
        name = fetch_job.job_name(model.metadata.name, spec, target)
        state = fetch_state(None, (), job_name=name, tick=None, previous=sight.previous)
        held = None if isinstance(state, Done) else sight.held
        return replace(sight, held=held, job_name=name, fetch=state, target=None)

    async def _fetch(self, model: CustomResource, sight: Sight, spec: ModelSpec, target: fetch_job.Target) -> Sight:
        """A claim's trouble counts only while there is no Job: a fetch that runs tells better what it meets."""
        name = fetch_job.job_name(model.metadata.name, spec, target)
        job = await self.stop(model, keep=name)
        pods = self.caches.pods.store.by_index("owner", job.metadata.uid) if job else []
        tick = self._follow(key_of(model), pods)
        state = fetch_state(job, pods, job_name=name, tick=tick, previous=sight.previous)
        again = _again(job, state)
        left = again.seconds(now=self.clock.now()) if again else None
        if job is not None and (isinstance(state, Lost) or left == 0):
            await self.applier.delete(JOB, job)
        if job is not None or isinstance(state, Done):
            sight = replace(sight, again=again.at if again else None, retry_in=left or None)
            return replace(sight, held=None, job_name=name, fetch=state)
        if sight.held is None:
            await self.applier.apply(JOB, fetch_job.job(model, spec, self.settings, target), None)
        return replace(sight, job_name=name, fetch=state)

    def _follow(self, key: Key, pods: Sequence[Pod]) -> Tick | None:
        """Only a pod that runs has anything to tell."""
        running = [key_of(each) for each in pods if is_running(each)]
        if not running:
            self.progress.leave(key)
            return None
        self.progress.follow(key, running[-1])
        return self.progress.tick(key, running[-1])


def _again(job: Job | None, state: FetchState) -> Retry | None:
    if job is None or not isinstance(state, Failure):
        return None
    return retry(job, is_mendable=state.reason in MENDED_ELSEWHERE)


def _target(spec: ModelSpec, known: Known, claim: PersistentVolumeClaim, nodes: Sequence[str]) -> fetch_job.Target:
    """The digest is the person's alone: the source's own would change the Job's name once the status forgets it."""
    projector = known.projector
    return fetch_job.Target(
        claim_name=claim.metadata.name,
        claim_uid=claim.metadata.uid,
        sha256=spec.sha256,
        etag=known.etag,
        size=known.size_bytes,
        mmproj_etag=projector.etag if projector else None,
        mmproj_size=projector.size_bytes if projector else None,
        nodes=tuple(nodes) if cache.is_one_nodes(claim) else (),
    )


def _kept(previous: ModelStatus, claim: str, known: Known) -> int:
    """Bytes of before in the claim, those of the status that is about to be replaced among them."""
    kept = sum(each.size_bytes for each in previous.retained if each.claim == claim)
    is_other = previous.claim == claim and previous.sha256 is not None and previous.etag != known.etag
    return kept + ((previous.size_bytes or 0) if is_other else 0)
