"""Jobs that look after bytes that are there: take away what nothing uses any more, read again what may be damaged.

    collect_job(model, spec, settings, target: Target, *, done: Done, keep: tuple[str, ...]) -> dict
    collect_job_name(model_name: str, target: Target, *, keep: tuple[str, ...]) -> str
    recheck_job(model, spec, settings, target: Target, *, done: Done, cause: str) -> dict
    recheck_job_name(model_name: str, target: Target, *, done: Done, cause: str) -> str

Each is the fetch of what is there already, told to do one thing more. A collection must never be told less to keep than
all that a pod may have open: see retained.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired import fetch_job
from llmkube.desired.labels import model_labels, owner_reference
from llmkube.desired.naming import child_name, short_hash

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.desired.fetch_result import Done
    from llmkube.desired.labels import Component
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource

BACKOFF_LIMIT = 3
DEADLINE_SECONDS = 60 * 60
SHORT = 12
"""Digits of a digest in the cache's paths."""


def collect_job_name(model_name: str, target: fetch_job.Target, *, keep: tuple[str, ...]) -> str:
    """Return the name of the Job that takes all but these out of the claim."""
    return child_name(model_name, f"collect-{short_hash(model_name, target.claim_name, target.claim_uid, *keep)}")


def collect_job(
    model: CustomResource,
    spec: ModelSpec,
    settings: OperatorSettings,
    target: fetch_job.Target,
    *,
    done: Done,
    keep: tuple[str, ...],
) -> dict[str, Any]:
    """Return the Job."""
    name = collect_job_name(model.metadata.name, target, keep=keep)
    wanted = fetch_job.Wanted(done.sha256, target.etag, done.bytes)
    container = fetch_job.fetch_containers(model, spec, settings, wanted, fetch_job.Wanted())[-1]
    words = ["--collect", *(word for digest in keep for word in ("--keep", digest[:SHORT]))]
    return _job(model, spec, settings, target, component="collect", name=name, containers=[_told(container, words)])


def recheck_job_name(model_name: str, target: fetch_job.Target, *, done: Done, cause: str) -> str:
    """Return the name of the Job that reads these bytes again, once for each cause."""
    parts = (model_name, target.claim_name, target.claim_uid, done.sha256, cause)
    return child_name(model_name, f"recheck-{short_hash(*parts)}")


def recheck_job(
    model: CustomResource,
    spec: ModelSpec,
    settings: OperatorSettings,
    target: fetch_job.Target,
    *,
    done: Done,
    cause: str,
) -> dict[str, Any]:
    """Return the Job."""
    name = recheck_job_name(model.metadata.name, target, done=done, cause=cause)
    wanted = fetch_job.Wanted(done.sha256, target.etag, done.bytes)
    found = done.projector
    projector = fetch_job.Wanted(found.sha256, target.mmproj_etag, found.bytes) if found else fetch_job.Wanted()
    containers = fetch_job.fetch_containers(model, spec, settings, wanted, projector)
    told = [_told(each, ["--recheck"]) for each in containers]
    return _job(model, spec, settings, target, component="recheck", name=name, containers=told)


def _told(container: dict[str, Any], words: list[str]) -> dict[str, Any]:
    return {**container, "command": [*container["command"], *words]}


def _job(
    model: CustomResource,
    spec: ModelSpec,
    settings: OperatorSettings,
    target: fetch_job.Target,
    *,
    component: Component,
    name: str,
    containers: list[dict[str, Any]],
) -> dict[str, Any]:
    labels = model_labels(model.metadata.name, component)
    volumes = [fetch_job.cache_volume(target.claim_name), *fetch_job.fetch_volumes(spec)]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": model.metadata.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(model)],
        },
        "spec": {
            "backoffLimit": BACKOFF_LIMIT,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "podFailurePolicy": {"rules": fetch_job.failure_rules([each["name"] for each in containers])},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": fetch_job.pod(containers, volumes, settings, target.nodes),
            },
        },
    }
