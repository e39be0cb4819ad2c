"""PersistentVolumeClaims: a directory `<volumes>/<namespace>/<claim>` each, removed with it.

A finalizer keeps the claim until no pod uses it and its bytes are gone, so that a kill in between leaves nothing.
The capacity is what was asked for; the disk, not the claim, is the limit.
"""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from llmkube.local.node.status import is_finished
from llmkube.local.objects import Change, Key, Object, is_deleting, key_of, spec_of, status_of, uid_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from llmkube.local.controllers.cluster import Cluster

RESOURCE = "persistentvolumeclaims"
FINALIZER = "kubernetes.io/pvc-protection"


class Volumes:
    name = "persistentvolume-binder"
    watched = (RESOURCE, "pods")

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self._cluster = cluster
        self._directory = directory

    def keys(self, change: Change) -> Iterable[Key]:
        if change.resource == RESOURCE:
            return [key_of(change.object)]
        if change.type == "DELETED" or is_finished(change.object):
            return [Key(key_of(change.object).namespace, name) for name in claims(change.object)]
        return []

    async def reconcile(self, key: Key) -> float | None:
        claim = self._cluster.get(RESOURCE, key)
        if claim is None:
            return None
        if is_deleting(claim):
            await self._release(claim)
        else:
            self._bind(claim)
        return None

    def _bind(self, claim: Object) -> None:
        meta = claim["metadata"]
        finalizers = meta.get("finalizers") or []
        if FINALIZER not in finalizers:
            claim = self._cluster.update(
                RESOURCE, {**claim, "metadata": {**meta, "finalizers": [*finalizers, FINALIZER]}}
            )
        self._path(claim).mkdir(parents=True, exist_ok=True)
        if not spec_of(claim).get("volumeName"):
            claim = self._cluster.set_spec(RESOURCE, claim, volumeName=f"local-{uid_of(claim)}")
        spec = spec_of(claim)
        bound = {
            **status_of(claim),
            "phase": "Bound",
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "capacity": (spec.get("resources") or {}).get("requests") or {},
        }
        self._cluster.set_status(RESOURCE, claim, bound)

    async def _release(self, claim: Object) -> None:
        """Waits (for the next change of a pod) while one uses it."""
        finalizers = claim["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers or self._users(claim):
            return
        await asyncio.to_thread(shutil.rmtree, self._path(claim), ignore_errors=True)
        left = [one for one in finalizers if one != FINALIZER]
        self._cluster.update(RESOURCE, {**claim, "metadata": {**claim["metadata"], "finalizers": left}})

    def _users(self, claim: Object) -> list[Object]:
        namespace, name = key_of(claim)
        return [
            pod for pod in self._cluster.everything("pods", namespace) if name in claims(pod) and not is_finished(pod)
        ]

    def _path(self, claim: Object) -> Path:
        """Names were checked by the API server; a path that leaves the directory is still refused."""
        namespace, name = key_of(claim)
        path = (self._directory / namespace / name).resolve()
        if not path.is_relative_to(self._directory.resolve()):
            raise ValueError(f"claim {namespace}/{name}: its name leaves the volumes directory")
        return path


def claims(pod: Object) -> list[str]:
    volumes = spec_of(pod).get("volumes") or ()
    return [one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one]
