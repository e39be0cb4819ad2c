"""The Job that takes bytes of before out of a model's claim, once nothing uses them any more.

    collect_job(model, spec, settings, target: Target, *, done: Done, keep: tuple[str, ...]) -> dict
    collect_job_name(model_name: str, target: Target, *, keep: tuple[str, ...]) -> str

It is the fetch of what is there already, which ends at once, told what to keep. It must never be told less than all
that a pod may have open: see retained.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired import fetch_job
from llmkube.desired.labels import model_labels, owner_reference
from llmkube.desired.naming import child_name, short_hash

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.desired.fetch_result import Done
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
    labels = model_labels(model.metadata.name, "collect")
    wanted = fetch_job.Wanted(done.sha256, target.etag, done.bytes)
    container = fetch_job.fetch_containers(model, spec, settings, wanted, fetch_job.Wanted())[-1]
    words = ["--collect", *(word for digest in keep for word in ("--keep", digest[:SHORT]))]
    container = {**container, "command": [*container["command"], *words]}
    volumes = [fetch_job.cache_volume(target.claim_name), *fetch_job.fetch_volumes(spec)]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": collect_job_name(model.metadata.name, target, keep=keep),
            "namespace": model.metadata.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(model)],
        },
        "spec": {
            "backoffLimit": BACKOFF_LIMIT,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "podFailurePolicy": {"rules": fetch_job.failure_rules([container["name"]])},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": fetch_job.pod([container], volumes, settings, target.nodes),
            },
        },
    }
