"""The part of a Model's reconcile that has verified bytes read again: an engine could not read them, or a person asks.

A Job reads the file, and fetches anew what is not what its digest says. There is one for each cause: a pod whose engine
ended over its file, or a value of the annotation; it stays as long as its cause, so that it runs once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from llmkube.api.group import GROUP
from llmkube.controllers.model_jobs import only
from llmkube.controllers.refusal import refusal
from llmkube.desired.damage import suspect
from llmkube.desired.fetch_result import Done, last_words
from llmkube.desired.fetch_retry import PAUSE_SECONDS
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.upkeep_job import recheck_job, recheck_job_name
from llmkube.kube.errors import ApiError
from llmkube.kube.kinds import JOB

if TYPE_CHECKING:
    from llmkube.controllers.caches import Caches
    from llmkube.desired.model_status import Sight
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.apply import Applier
    from llmkube.kube.objects import CustomResource, Job

VERIFY = f"{GROUP}/verify"
"""Annotation of a Model: a new value has its bytes read again, e.g. the time."""


class Cause(NamedTuple):
    """`token` tells one cause from another, `why` tells people; `pod`: an engine could not read its file."""

    token: str
    why: str
    pod: bool


@dataclass(frozen=True, slots=True)
class ModelRecheck:
    """Recheck Jobs of Models."""

    caches: Caches
    applier: Applier
    settings: OperatorSettings

    async def advance(self, model: CustomResource, sight: Sight) -> Sight:
        """Return the sight with what a recheck says, after making the Job where there is a cause and none yet."""
        cause = self._cause(model, sight)
        done, target, spec = sight.fetch, sight.target, sight.spec
        if cause is None or target is None or spec is None or not isinstance(done, Done):
            await self.stop(model)
            return sight
        name = recheck_job_name(model.metadata.name, target, done=done, cause=cause.token)
        job = await self.stop(model, keep=name)
        if job is not None:
            return replace(sight, remark=sight.remark or self._told(job, cause))
        try:
            wanted = recheck_job(model, spec, self.settings, target, done=done, cause=cause.token)
            await self.applier.apply(JOB, wanted, None)
        except ApiError as error:
            if (refused := refusal(error)) is None:
                raise
            trouble = Trouble("RecheckFailed", refused.message)
            return replace(sight, remark=sight.remark or trouble, retry_in=PAUSE_SECONDS)
        return replace(sight, remark=sight.remark or _running(name, cause.why))

    async def stop(self, model: CustomResource, *, keep: str = "") -> Job | None:
        """Delete the Model's recheck Jobs but the one named `keep`, and return that one."""
        return await only(self.caches, self.applier, model, "recheck", keep=keep)

    def _cause(self, model: CustomResource, sight: Sight) -> Cause | None:
        if isinstance(sight.fetch, Done) and sight.claim:
            pods = self.caches.pods_serving(model.metadata.namespace, sight.claim, sight.fetch.sha256)
            if pod := suspect(pods):
                why = f"the engine of pod {pod.metadata.name} could not read the model"
                return Cause(pod.metadata.uid, why, pod=True)
        asked = model.metadata.annotations.get(VERIFY)
        return Cause(asked, f"annotation {VERIFY} asks for it", pod=False) if asked else None

    def _told(self, job: Job, cause: Cause) -> Trouble | None:
        ended = {each.type for each in job.status.conditions if each.status == "True"}
        if "Failed" in ended:
            fix = "its log says why; when that is mended, give the annotation another value"
            line = f"Job {job.metadata.name} could not read the bytes again: {cause.why}"
            return Trouble("RecheckFailed", f"{line}; {fix}")
        if "Complete" not in ended:
            return _running(job.metadata.name, cause.why)
        return _sound(cause.why) if cause.pod and not self._repaired(job) else None

    def _repaired(self, job: Job) -> bool:
        """Whether it found damage; the engine reads what came instead at its next start."""
        pods = self.caches.pods.store.by_index("owner", job.metadata.uid)
        found = (each for pod in pods for each in (*pod.status.init_container_statuses, *pod.status.container_statuses))
        ended = (each.state.terminated for each in found)
        words = [last_words(each.message) for each in ended if each is not None]
        return any(isinstance(each, Done) and each.damaged_bytes for each in words)


def _running(name: str, why: str) -> Trouble:
    return Trouble("Rechecking", f"Job {name} reads the verified bytes again: {why}")


def _sound(why: str) -> Trouble:
    fix = "the engine's build may not know this model: choose another image, or another file"
    return Trouble("FileIsSound", f"{why}, though it was read again and is what its digest says; {fix}")
