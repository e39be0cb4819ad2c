"""Deployments: one ReplicaSet per pod template, moved from old to new within the budget of rollout.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.controllers import deployment_status, rollout
from llmkube.local.controllers.replicasets import owner_key
from llmkube.local.controllers.rollout import HASH_LABEL, REVISION, replicas_of
from llmkube.local.objects import (
    Change,
    Key,
    Object,
    controller_reference,
    is_deleting,
    key_of,
    labels_of,
    spec_of,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmkube.local.controllers.cluster import Cluster

RESOURCE = "deployments.apps"
REPLICA_SETS = "replicasets.apps"


class Deployments:
    name = "deployment-controller"
    watched = (RESOURCE, REPLICA_SETS, "pods")

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def keys(self, change: Change) -> Iterable[Key]:
        if change.resource == RESOURCE:
            yield key_of(change.object)
        elif change.resource == REPLICA_SETS:
            yield from filter(None, [owner_key(change.object, "Deployment")])
        elif change.type == "DELETED" and (replica_set := owner_key(change.object, "ReplicaSet")):
            yield from self._owner_of(replica_set)  # Recreate waits until the last old pod is gone

    def _owner_of(self, key: Key) -> Iterable[Key]:
        replica_set = self._cluster.get(REPLICA_SETS, key)
        owner = owner_key(replica_set, "Deployment") if replica_set else None
        return [owner] if owner else []

    async def reconcile(self, key: Key) -> float | None:
        deployment = self._cluster.get(RESOURCE, key)
        if deployment is None or is_deleting(deployment):
            return None
        new, old = self._sets(deployment)
        if spec_of(deployment).get("paused"):
            self._scale_paused(deployment, new, old)
        else:
            new = self._ensure_new(deployment, new, old)
            deployment = self._annotate(deployment, new)
            self._roll(deployment, new, old)
            self._trim(deployment, old)
        new, old = self._sets(deployment)
        now = self._cluster.clock()
        current = deployment_status.status(deployment, new, old, now=now)
        self._cluster.set_status(RESOURCE, deployment, current)
        return deployment_status.deadline_in(deployment, current, now=now)

    def _sets(self, deployment: Object) -> tuple[Object | None, list[Object]]:
        """The ReplicaSet of the current template, if there is one, and the others, oldest first."""
        wanted = rollout.template_hash(deployment)
        sets = [one for one in self._cluster.claimed(REPLICA_SETS, deployment) if not is_deleting(one)]
        new = next((one for one in sets if labels_of(one).get(HASH_LABEL) == wanted), None)
        return new, [one for one in sets if one is not new]

    def _ensure_new(self, deployment: Object, new: Object | None, old: Sequence[Object]) -> Object:
        latest = max(map(rollout.revision, old), default=0)
        if new is None:
            return self._cluster.create(REPLICA_SETS, new_replica_set(deployment, latest + 1))
        if rollout.revision(new) <= latest:  # an earlier template again: `kubectl rollout undo`
            new = self._cluster.update(REPLICA_SETS, _with_revision(new, latest + 1))
        return self._cluster.set_spec(REPLICA_SETS, new, minReadySeconds=spec_of(deployment).get("minReadySeconds", 0))

    def _annotate(self, deployment: Object, new: Object) -> Object:
        if rollout.revision(deployment) == rollout.revision(new):
            return deployment
        return self._cluster.update(RESOURCE, _with_revision(deployment, rollout.revision(new)))

    def _roll(self, deployment: Object, new: Object, old: Sequence[Object]) -> None:
        if rollout.is_recreate(deployment) and (any(map(replicas_of, old)) or self._has_pods(old)):
            targets = {one["metadata"]["name"]: 0 for one in old}
        else:
            targets = rollout.next_scale(rollout.budget(deployment), new, old)
        self._scale(deployment, [new, *old], targets)

    def _has_pods(self, sets: Sequence[Object]) -> bool:
        """Recreate: also a pod that is still stopping holds what the new one needs."""
        return any(self._cluster.controlled("pods", one) for one in sets)

    def _scale_paused(self, deployment: Object, new: Object | None, old: Sequence[Object]) -> None:
        """A paused Deployment rolls nothing out, but the ReplicaSet that serves follows `replicas`."""
        serving = [one for one in (*old, *([new] if new else [])) if replicas_of(one)]
        if len(serving) == 1 or new is not None:
            chosen = serving[0] if len(serving) == 1 else new
            assert chosen is not None  # noqa: S101 - one of the two conditions above
            self._scale(deployment, [chosen], {chosen["metadata"]["name"]: replicas_of(deployment)})

    def _scale(self, deployment: Object, sets: Sequence[Object], targets: dict[str, int]) -> None:
        for one in sets:
            name, before = one["metadata"]["name"], replicas_of(one)
            after = targets.get(name, before)
            if after != before:
                self._cluster.set_spec(REPLICA_SETS, one, replicas=after)
                verb = "up" if after > before else "down"
                message = f"Scaled {verb} replica set {name} from {before} to {after}"
                self._cluster.recorder.normal(deployment, "ScalingReplicaSet", message)

    def _trim(self, deployment: Object, old: Sequence[Object]) -> None:
        """Keeps revisionHistoryLimit old ReplicaSets that have nothing left."""
        limit = spec_of(deployment).get("revisionHistoryLimit", 10)
        empty = [one for one in old if not replicas_of(one) and not status_of(one).get("replicas")]
        for one in sorted(empty, key=rollout.revision)[: max(len(empty) - limit, 0)]:
            self._cluster.delete(REPLICA_SETS, one)


def new_replica_set(deployment: Object, revision: int) -> Object:
    """With no replicas: the budget decides how many it may have."""
    spec, name = spec_of(deployment), deployment["metadata"]["name"]
    identity = {HASH_LABEL: rollout.template_hash(deployment)}
    template, selector = spec["template"], spec["selector"]
    meta = template.get("metadata") or {}
    labels = {**(meta.get("labels") or {}), **identity}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name[:242]}-{identity[HASH_LABEL]}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": labels,
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **identity}},
            "template": {**template, "metadata": {**meta, "labels": labels}},
        },
    }


def _with_revision(obj: Object, revision: int) -> Object:
    meta = obj["metadata"]
    annotations = {**(meta.get("annotations") or {}), REVISION: str(revision)}
    return {**obj, "metadata": {**meta, "annotations": annotations}}
