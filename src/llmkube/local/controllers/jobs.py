"""Jobs: pods that run to their end, again when they fail, until the Job is complete or has failed (job_policy.py)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from llmkube.local.controllers import job_policy
from llmkube.local.controllers.cluster import Cluster, nonzero, without
from llmkube.local.controllers.replicasets import new_pod, owner_key
from llmkube.local.node.status import ready_since
from llmkube.local.objects import (
    Change,
    Key,
    Object,
    condition,
    is_deleting,
    key_of,
    parse_time,
    spec_of,
    status_of,
    time_text,
    uid_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmkube.local.controllers.job_policy import PodCounts, Verdict

RESOURCE = "jobs.batch"


class Jobs:
    name = "job-controller"
    watched = (RESOURCE, "pods")

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def keys(self, change: Change) -> Iterable[Key]:
        if change.resource == RESOURCE:
            yield key_of(change.object)
        elif owner := owner_key(change.object, "Job"):
            yield owner

    async def reconcile(self, key: Key) -> float | None:
        job = self._cluster.get(RESOURCE, key)
        if job is None or is_deleting(job):
            return None
        if job_policy.is_finished(job):
            return self._expire(job)
        if spec_of(job).get("completionMode") == "Indexed":
            message = "completionMode Indexed is not supported in local mode; use NonIndexed"
            self._cluster.recorder.warning(job, "UnsupportedCompletionMode", message)
            return None
        if spec_of(job).get("suspend"):
            self._suspend(job)
            return None
        return self._run(job)

    def _run(self, job: Object) -> float | None:
        now = self._cluster.clock()
        job = self._start(job, now=now)
        counts = self._counts(job)
        verdict = job_policy.verdict(job, counts, now=now)
        wait = None
        if verdict is not None:
            self._delete(counts.active)
        elif missing := job_policy.missing(job, counts):
            wait = job_policy.retry_in(counts, now=now)
            for _ in range(missing if wait == 0 else 0):
                self._create_pod(job)
        self._write_status(job, self._counts(job), verdict, now=now)
        waits = [one for one in (wait, job_policy.time_left(job, now=now)) if one]
        return min(waits, default=None)

    def _start(self, job: Object, *, now: datetime) -> Object:
        """Notes when it began: now, or again now after it was suspended."""
        status = status_of(job)
        suspended = condition(job, "Suspended")
        if suspended is not None and suspended["status"] == "True":
            others = [one for one in status["conditions"] if one is not suspended]
            resumed = new_condition("Suspended", "False", "JobResumed", "Job resumed", now=now)
            status = {**without(status, "startTime"), "conditions": [*others, resumed]}
        if "startTime" in status:
            return job
        return self._cluster.set_status(RESOURCE, job, {**status, "startTime": time_text(now)})

    def _counts(self, job: Object) -> PodCounts:
        return job_policy.count(job, self._cluster.controlled("pods", job))

    def _create_pod(self, job: Object) -> None:
        pod = self._cluster.create("pods", job_pod(job))
        self._cluster.recorder.normal(job, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    def _delete(self, pods: Sequence[Object]) -> None:
        for pod in pods:
            self._cluster.delete("pods", pod)

    def _write_status(self, job: Object, counts: PodCounts, verdict: Verdict | None, *, now: datetime) -> None:
        before = status_of(job)
        status = {
            **without(before, "active", "ready", "succeeded", "failed"),
            **nonzero(
                active=len(counts.active) if verdict is None else 0,
                succeeded=max(len(counts.succeeded), before.get("succeeded", 0)),
                failed=max(len(counts.failed), before.get("failed", 0)),
            ),
            "ready": sum(1 for pod in counts.active if ready_since(pod)) if verdict is None else 0,
        }
        if verdict is not None:
            status |= _ended(before, verdict, now=now)
            record = self._cluster.recorder.normal if verdict.kind == "Complete" else self._cluster.recorder.warning
            record(job, "Completed" if verdict.kind == "Complete" else verdict.reason, verdict.message)
        self._cluster.set_status(RESOURCE, job, status)

    def _suspend(self, job: Object) -> None:
        self._delete(self._counts(job).active)
        found = condition(job, "Suspended")
        conditions = [one for one in status_of(job).get("conditions") or () if one is not found]
        if found is None or found["status"] != "True":
            found = new_condition("Suspended", "True", "JobSuspended", "Job suspended", now=self._cluster.clock())
        status = {**without(status_of(job), "active", "startTime"), "ready": 0, "conditions": [*conditions, found]}
        self._cluster.set_status(RESOURCE, job, status)

    def _expire(self, job: Object) -> float | None:
        """ttlSecondsAfterFinished."""
        limit = spec_of(job).get("ttlSecondsAfterFinished")
        if limit is None:
            return None
        ended = condition(job, "Complete") or condition(job, "Failed")
        assert ended is not None  # noqa: S101 - only finished Jobs come here
        left = parse_time(ended["lastTransitionTime"]) + timedelta(seconds=limit) - self._cluster.clock()
        if left <= timedelta(0):
            self._cluster.delete(RESOURCE, job)
            return None
        return left.total_seconds()


def _ended(before: Object, verdict: Verdict, *, now: datetime) -> Object:
    criteria = "SuccessCriteriaMet" if verdict.kind == "Complete" else "FailureTarget"
    conditions = [
        new_condition(kind, "True", verdict.reason, verdict.message, now=now) for kind in (criteria, verdict.kind)
    ]
    kept = [one for one in before.get("conditions") or () if one["type"] not in {criteria, verdict.kind}]
    completion = {"completionTime": time_text(now)} if verdict.kind == "Complete" else {}
    return {"conditions": [*kept, *conditions], **completion}


def new_condition(kind: str, state: str, reason: str, message: str, *, now: datetime) -> Object:
    moment = time_text(now)
    return {
        "type": kind,
        "status": state,
        "reason": reason,
        "message": message,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
    }


def job_pod(job: Object) -> Object:
    """A pod with the labels by which Kubernetes and kubectl find a Job's pods."""
    pod = new_pod(job)
    identity = {"controller-uid": uid_of(job), "job-name": job["metadata"]["name"]}
    identity |= {f"batch.kubernetes.io/{name}": value for name, value in identity.items()}
    meta = {**pod["metadata"], "labels": {**pod["metadata"]["labels"], **identity}}
    return {**pod, "metadata": meta}
