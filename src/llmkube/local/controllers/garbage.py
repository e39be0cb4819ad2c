"""Garbage collection by ownerReferences: background, foreground and orphan, as in Kubernetes.

It keeps a graph of who owns whom by uid, from every change. An object goes when it has owners and none of them exists.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from llmkube.local.controllers.cluster import MANAGER, Cluster
from llmkube.local.controllers.resources import all_resources, everything
from llmkube.local.objects import Change, Key, Object, Registry, is_deleting, key_of, uid_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Reference(NamedTuple):
    resource: str
    key: Key

    def __str__(self) -> str:
        return f"{self.resource} {self.key}"


class Everything(Collection[str]):
    """Contains every resource; iterates over those that exist now."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __contains__(self, resource: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter([one for one in all_resources(self._registry) if everything(self._registry, one)])

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Garbage:
    name = "garbage-collector"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.watched = Everything(cluster.registry)
        self._references: dict[str, Reference] = {}
        self._owners: dict[str, frozenset[str]] = {}
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)

    def keys(self, change: Change) -> Iterable[Reference]:
        """Updates the graph; gives what may have become garbage or may now be released."""
        uid = uid_of(change.object)
        reference = Reference(change.resource, key_of(change.object))
        if change.type == "DELETED":
            return self._removed(uid)
        self._note(uid, reference, owners_of(change.object))
        waits = {FOREGROUND, ORPHAN} & set(change.object["metadata"].get("finalizers") or ())
        return [reference] if self._owners[uid] or (waits and is_deleting(change.object)) else []

    def _note(self, uid: str, reference: Reference, owners: frozenset[str]) -> None:
        for gone in self._owners.get(uid, frozenset()) - owners:
            self._dependents[gone].discard(uid)
        for owner in owners:
            self._dependents[owner].add(uid)
        self._references[uid], self._owners[uid] = reference, owners

    def _removed(self, uid: str) -> list[Reference]:
        self._references.pop(uid, None)
        owners = self._owners.pop(uid, frozenset())
        for owner in owners:
            self._dependents[owner].discard(uid)
        concerned = {*owners, *self._dependents.pop(uid, set())}
        return [self._references[one] for one in sorted(concerned) if one in self._references]

    async def reconcile(self, key: Reference) -> float | None:
        obj = self._get(key)
        if obj is None:
            return None
        finalizers = obj["metadata"].get("finalizers") or ()
        if is_deleting(obj):
            if ORPHAN in finalizers:
                self._orphan(key, obj)
            elif FOREGROUND in finalizers:
                self._foreground(key, obj)
            return None
        self._collect(key, obj)
        return None

    def _collect(self, key: Reference, obj: Object) -> None:
        """Without any owner left it goes; with one it forgets those that are gone, or wait for it to go."""
        owners = owners_of(obj)
        if owners and not any(owner in self._references for owner in owners):
            self._cluster.delete(key.resource, obj)
        elif (solid := {one for one in owners if self._is_solid(one)}) and solid != owners:
            self._forget(key, obj, owners - solid)

    def _is_solid(self, uid: str) -> bool:
        owner = self._get(self._references[uid]) if uid in self._references else None
        waits = owner is not None and is_deleting(owner) and FOREGROUND in (owner["metadata"].get("finalizers") or ())
        return owner is not None and not waits

    def _forget(self, reference: Reference, obj: Object, owners: Collection[str]) -> None:
        meta = obj["metadata"]
        left = [one for one in meta.get("ownerReferences") or () if one["uid"] not in owners]
        self._write(reference, {**obj, "metadata": {**meta, "ownerReferences": left}})

    def _get(self, reference: Reference) -> Object | None:
        return self._cluster.get(reference.resource, reference.key)

    def _dependents_of(self, obj: Object) -> list[tuple[Reference, Object]]:
        references = [self._references[uid] for uid in sorted(self._dependents.get(uid_of(obj), ()))]
        found = [(reference, self._get(reference)) for reference in references]
        return [(reference, one) for reference, one in found if one is not None]

    def _foreground(self, key: Reference, obj: Object) -> None:
        """Dependents first; those that block the owner's deletion are waited for."""
        dependents = self._dependents_of(obj)
        for reference, one in dependents:
            if not is_deleting(one):
                self._cluster.delete(reference.resource, one, propagation="Foreground")
        if not any(blocks(one, uid_of(obj)) for _, one in self._dependents_of(obj)):
            self._release(key, FOREGROUND)

    def _orphan(self, key: Reference, obj: Object) -> None:
        for reference, one in self._dependents_of(obj):
            self._forget(reference, one, {uid_of(obj)})
        self._release(key, ORPHAN)

    def _release(self, key: Reference, finalizer: str) -> None:
        obj = self._get(key)
        if obj is not None:
            meta = obj["metadata"]
            left = [one for one in meta.get("finalizers") or () if one != finalizer]
            self._write(key, {**obj, "metadata": {**meta, "finalizers": left}})

    def _write(self, reference: Reference, obj: Object) -> None:
        namespace, name = reference.key
        self._cluster.registry.update(reference.resource, namespace or None, name, obj, manager=MANAGER)


def owners_of(obj: Object) -> frozenset[str]:
    return frozenset(owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ())


def blocks(dependent: Object, owner: str) -> bool:
    references = dependent["metadata"].get("ownerReferences") or ()
    return any(one["uid"] == owner and one.get("blockOwnerDeletion") for one in references)
