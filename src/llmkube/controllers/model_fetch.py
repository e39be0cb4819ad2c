"""The part of a Model's reconcile that touches its claim and its fetch Job.

A Job is made when there is none of its name, never changed; one whose name no longer fits is deleted. It must never
start a fetch into a claim that it does not know the uid of: a claim that was made anew is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from llmkube.desired import cache, fetch_job
from llmkube.desired.claim_trouble import claim_trouble
from llmkube.desired.fetch_result import Done, Failure, Tick
from llmkube.desired.fetch_retry import retry_in
from llmkube.desired.fetch_state import Lost, fetch_state
from llmkube.desired.pod_trouble import is_running
from llmkube.kube.kinds import JOB, PVC, Key, key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.api.model import ModelSpec
    from llmkube.controllers.caches import Caches
    from llmkube.controllers.progress import ProgressReader
    from llmkube.desired.model_status import Sight
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
    settings: OperatorSettings
    clock: Clock

    async def advance(self, model: CustomResource, sight: Sight, spec: ModelSpec, known: Known) -> Sight:
        """Return the sight with what is known of claim and fetch, after making the one that there was none of."""
        name = cache.claim_name(spec, model.metadata.name) or ""
        claim = self.caches.claims.store.get(Key(model.metadata.namespace, name))
        held = claim_trouble(spec, known, name=name, live=claim)
        if claim is None:
            await self.stop(model)
            if held is None and (wanted := cache.claim(model, spec, size_bytes=known.size_bytes or 0)):
                await self.applier.apply(PVC, wanted, None)
            return replace(sight, held=held)
        return await self._fetch(model, replace(sight, held=held), spec, _into(spec, known, claim))

    async def stop(self, model: CustomResource, *, keep: str = "") -> Job | None:
        """Delete the Model's Jobs but the one named `keep`, and return that one."""
        kept: Job | None = None
        for job in self.caches.jobs.store.by_index("owner", model.metadata.uid):
            if job.metadata.name == keep:
                kept = job
            else:
                await self.applier.delete(JOB, job)
        if kept is None:
            self.progress.leave(key_of(model))
        return kept

    async def _fetch(self, model: CustomResource, sight: Sight, spec: ModelSpec, into: _Target) -> Sight:
        """A claim's trouble counts only while there is no Job: a fetch that runs tells better what it meets."""
        name = fetch_job.job_name(model.metadata.name, spec, **into.identity)
        job = await self.stop(model, keep=name)
        pods = self.caches.pods.store.by_index("owner", job.metadata.uid) if job else []
        tick = self._follow(key_of(model), pods)
        state = fetch_state(job, pods, job_name=name, tick=tick, previous=sight.previous)
        again = retry_in(job, now=self.clock.now()) if job is not None and isinstance(state, Failure) else None
        if job is not None and (isinstance(state, Lost) or again == 0):
            await self.applier.delete(JOB, job)
        if job is not None or isinstance(state, Done):
            return replace(sight, held=None, job_name=name, fetch=state, retry_in=again or None)
        if sight.held is None:
            await self.applier.apply(JOB, self._job(model, spec, into), None)
        return replace(sight, job_name=name, fetch=state)

    def _job(self, model: CustomResource, spec: ModelSpec, into: _Target) -> dict[str, Any]:
        return fetch_job.job(model, spec, self.settings, size=into.size, **into.identity)

    def _follow(self, key: Key, pods: Sequence[Pod]) -> Tick | None:
        """Only a pod that runs has anything to tell."""
        running = [key_of(each) for each in pods if is_running(each)]
        if not running:
            self.progress.leave(key)
            return None
        self.progress.follow(key, running[-1])
        return self.progress.tick(key, running[-1])


class _Identity(TypedDict):
    """What a fetch Job's name stands for."""

    claim_name: str
    claim_uid: str
    sha256: str | None
    etag: str | None


class _Target(NamedTuple):
    identity: _Identity
    size: int | None


def _into(spec: ModelSpec, known: Known, claim: PersistentVolumeClaim) -> _Target:
    """The digest is the person's alone: the source's own would change the Job's name once the status forgets it."""
    identity = _Identity(
        claim_name=claim.metadata.name, claim_uid=claim.metadata.uid, sha256=spec.sha256, etag=known.etag
    )
    return _Target(identity, known.size_bytes)
