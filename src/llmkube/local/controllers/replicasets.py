"""ReplicaSets: as many pods as asked for, made and deleted; pods that it selects and nobody controls become its own."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from llmkube.local.controllers.cluster import Cluster, nonzero
from llmkube.local.node.status import is_active, ready_since
from llmkube.local.objects import (
    Change,
    Key,
    Object,
    controller_of,
    controller_reference,
    is_deleting,
    key_of,
    labels_of,
    parse_time,
    spec_of,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

RESOURCE = "replicasets.apps"
SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
BURST = 50


class ReplicaSets:
    name = "replicaset-controller"
    watched = (RESOURCE, "pods")

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def keys(self, change: Change) -> Iterable[Key]:
        if change.resource == RESOURCE:
            yield key_of(change.object)
        elif owner := owner_key(change.object, "ReplicaSet"):
            yield owner

    async def reconcile(self, key: Key) -> float | None:
        owner = self._cluster.get(RESOURCE, key)
        if owner is None:
            return None
        if not is_deleting(owner):
            self._scale(owner)
        pods = [pod for pod in self._cluster.controlled("pods", owner) if is_active(pod)]
        now = self._cluster.clock()
        self._cluster.set_status(RESOURCE, owner, status(owner, pods, now=now))
        return next_availability(pods, spec_of(owner).get("minReadySeconds", 0), now=now)

    def _scale(self, owner: Object) -> None:
        pods = [pod for pod in self._cluster.claimed("pods", owner) if is_active(pod)]
        missing = spec_of(owner).get("replicas", 1) - len(pods)
        for _ in range(min(missing, BURST)):
            pod = self._cluster.create("pods", new_pod(owner))
            self._cluster.recorder.normal(owner, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
        for pod in sorted(pods, key=deletion_rank)[: max(-missing, 0)]:
            self._cluster.delete("pods", pod)
            self._cluster.recorder.normal(owner, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")


def owner_key(obj: Object, kind: str) -> Key | None:
    """The controller of an object when it is of that kind."""
    owner = controller_of(obj)
    if owner is None or owner.get("kind") != kind:
        return None
    return Key(obj["metadata"].get("namespace", ""), owner["name"])


def new_pod(owner: Object) -> Object:
    """A pod from the owner's template."""
    template = spec_of(owner)["template"]
    meta = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{owner['metadata']['name'][:57]}-{random_suffix()}",
            "namespace": owner["metadata"]["namespace"],
            "labels": meta.get("labels") or {},
            "annotations": meta.get("annotations") or {},
            "ownerReferences": [controller_reference(owner)],
        },
        "spec": template["spec"],
    }


def random_suffix() -> str:
    """Five letters that spell no word, as in Kubernetes' generated names."""
    return "".join(secrets.choice(SAFE_LETTERS) for _ in range(5))


def deletion_rank(pod: Object) -> tuple[int, int, str]:
    """Unassigned first, then pending, then unready, then the newest ready one."""
    order = ["Pending", "Running"]
    phase = status_of(pod).get("phase", "Pending")
    stage = 0 if not spec_of(pod).get("nodeName") else 1 + (order.index(phase) if phase in order else 0)
    created = str(pod["metadata"].get("creationTimestamp", ""))
    return (stage, int(bool(ready_since(pod))), "".join(chr(0x10FFFF - ord(letter)) for letter in created))


def status(owner: Object, pods: list[Object], *, now: datetime) -> Object:
    wait = timedelta(seconds=spec_of(owner).get("minReadySeconds", 0))
    template_labels = ((spec_of(owner).get("template") or {}).get("metadata") or {}).get("labels") or {}
    labelled = [pod for pod in pods if template_labels.items() <= labels_of(pod).items()]
    return {
        "replicas": len(pods),
        **nonzero(
            fullyLabeledReplicas=len(labelled),
            readyReplicas=sum(1 for pod in pods if ready_since(pod)),
            availableReplicas=sum(1 for pod in pods if is_available(pod, wait, now=now)),
        ),
        "observedGeneration": owner["metadata"].get("generation", 1),
    }


def is_available(pod: Object, wait: timedelta, *, now: datetime) -> bool:
    """Ready for at least `wait`."""
    since = ready_since(pod)
    return bool(since) and parse_time(since) + wait <= now


def next_availability(pods: list[Object], seconds: float, *, now: datetime) -> float | None:
    """In how many seconds the next ready pod becomes an available one."""
    moments = [parse_time(since) + timedelta(seconds=seconds) for pod in pods if (since := ready_since(pod))]
    waits = [(moment - now).total_seconds() for moment in moments if moment > now]
    return min(waits, default=None)
