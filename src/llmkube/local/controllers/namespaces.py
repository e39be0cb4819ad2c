"""Namespaces that are being deleted: their content goes first, then the namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.controllers.cluster import MANAGER, Cluster
from llmkube.local.controllers.garbage import Everything
from llmkube.local.controllers.resources import everything, namespaced
from llmkube.local.objects import Change, Key, Object, is_deleting, key_of, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterable

RESOURCE = "namespaces"
FINALIZER = "kubernetes"


class Namespaces:
    name = "namespace-controller"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.watched = Everything(cluster.registry)

    def keys(self, change: Change) -> Iterable[Key]:
        if change.resource == RESOURCE:
            return [key_of(change.object)] if is_deleting(change.object) else []
        namespace = key_of(change.object).namespace
        return [Key("", namespace)] if change.type == "DELETED" and namespace else []

    async def reconcile(self, key: Key) -> float | None:
        namespace = self._cluster.get(RESOURCE, key)
        if namespace is None or not is_deleting(namespace):
            return None
        content = self._content(key.name)
        for resource, obj in content:
            if not is_deleting(obj):
                self._cluster.delete(resource, obj)
        if not self._content(key.name):
            self._finalize(namespace)
        return None

    def _content(self, name: str) -> list[tuple[str, Object]]:
        registry = self._cluster.registry
        return [(resource, obj) for resource in namespaced(registry) for obj in everything(registry, resource, name)]

    def _finalize(self, namespace: Object) -> None:
        spec = spec_of(namespace)
        left = [one for one in spec.get("finalizers") or () if one != FINALIZER]
        finalized = {**namespace, "spec": {**spec, "finalizers": left}}
        name = namespace["metadata"]["name"]
        self._cluster.registry.update(RESOURCE, None, name, finalized, subresource="finalize", manager=MANAGER)
