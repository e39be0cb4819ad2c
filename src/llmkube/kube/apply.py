"""Writes what is wanted, only where it differs from what is there, under one field manager; remembers what it wrote.

What was applied last is known by a hash in an annotation of the object itself, so that a restarted operator neither
writes an object again nor forgets to take away a field that it no longer wants. Status has one writer and is compared
whole.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from llmkube.kube import objects
from llmkube.kube.admissions import Admissions
from llmkube.kube.applied import is_applied, spec_of, was_applied, with_hash
from llmkube.kube.diff import same
from llmkube.kube.errors import AlreadyExists, NotFound
from llmkube.kube.kinds import Key, Kind, key_of
from llmkube.kube.store import version
from llmkube.kube.transport import MERGE_PATCH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.kube.client import Client, Manifest
    from llmkube.kube.informer import Informer

T = TypeVar("T", bound=objects.Object)

LONGEST_WAIT = 10.0


class Monotonic(Protocol):
    """The part of a clock that is needed here."""

    def monotonic(self) -> float: ...


class Lag(Enum):
    """How far what is in memory is behind what was written."""

    NONE = auto()
    WAIT = auto()
    BLIND = auto()

    def again(self, after: float | None) -> float | None:
        """When to reconcile again, which a blind decision needs at the latest when the next one may see."""
        return after if self is not Lag.BLIND else min(after or LONGEST_WAIT, LONGEST_WAIT)


class Applier:
    """The writes of one controller. `writes` counts those that were sent."""

    def __init__(self, client: Client, manager: str, clock: Monotonic) -> None:
        self._client = client
        self._manager = manager
        self._clock = clock
        self._written: dict[Key, dict[str, tuple[int, float]]] = {}
        self._made: set[Key] = set()
        self._latest: dict[Key, dict[str, str]] = {}
        self._admissions = Admissions(clock.monotonic)
        self.writes = 0
        self.waits_given_up = 0

    async def apply(
        self, kind: Kind[T], desired: Manifest, live: T | None, *, owner: Key | None = None, replicas: int | None = None
    ) -> T | None:
        """Apply the whole intent for an object; return what was written, None when nothing had to be.

        `owner` is whose reconcile waits for it, where that is not the one that controls the object.
        `replicas` is `spec.replicas` as somebody else sets it: no part of the intent, and said again with every write.
        Left out it would be taken away where nobody else has set it yet, and then it is 1.
        """
        wanted = with_hash(desired)
        owner = owner or owner_of(wanted)
        if live is not None and self._is_there(kind, owner, wanted, live):
            return None
        sent = wanted if replicas is None else with_replicas(wanted, replicas, live)
        written = await self._client.apply(kind, sent, manager=self._manager)
        self._remember(owner, kind, written)
        if live is None:
            self._made.add(owner)
        elif was_applied(wanted, live):
            self._admissions.note(owner, kind.resource, wanted, written)
        return written

    async def create(self, kind: Kind[T], desired: Manifest, *, owner: Key) -> T | None:
        """Make what several owners want; None when there is one of its name, which stays as it is, whatever it is."""
        try:
            written = await self._client.create(kind, with_hash(desired), manager=self._manager)
        except AlreadyExists:
            return None
        self._remember(owner, kind, written)
        self._made.add(owner)
        return written

    async def apply_status(self, kind: Kind[T], key: Key, status: Manifest, live: objects.CustomResource) -> bool:
        """Apply the whole status of one of our own objects; whether it had to be written."""
        if same(msgspec.json.decode(live.status), status):
            return False
        metadata = {"namespace": key.namespace, "name": key.name, "uid": live.metadata.uid}
        obj = {"metadata": metadata, "status": status}
        written = await self._client.apply(kind, obj, manager=self._manager, subresource="status")
        self._remember(key, kind, written)
        return True

    async def scale(self, kind: Kind[T], owner: Key, live: T, replicas: int, *, without: str) -> bool:
        """Change nothing but `spec.replicas` of what was applied before, and take the annotation `without` away.

        Conflict when the object has changed since.
        """
        if spec_of(live).get("replicas") == replicas:
            return False
        metadata = {"resourceVersion": live.metadata.resource_version, "annotations": {without: None}}
        body = {"metadata": metadata, "spec": {"replicas": replicas}}
        who = {"fieldManager": self._manager}
        written = await self._client.patch(kind, key_of(live), body, content_type=MERGE_PATCH, params=who)
        self._remember(owner, kind, written)
        return True

    async def delete(self, kind: Kind[T], live: T, *, propagation: str = "Background") -> bool:
        """Delete that very object, once; whether it was there."""
        if live.metadata.deletion_timestamp is not None:
            return False
        self.writes += 1
        return await self._client.delete(kind, key_of(live), propagation=propagation, uid=live.metadata.uid)

    async def set_finalizer(self, kind: Kind[T], live: T, name: str) -> bool:
        """Add a finalizer; Conflict when the object has changed since."""
        if name in live.metadata.finalizers:
            return False
        return await self._set_finalizers(kind, live, [*live.metadata.finalizers, name])

    async def remove_finalizer(self, kind: Kind[T], live: T, name: str) -> bool:
        """Remove a finalizer; Conflict when the object has changed since. An object that is gone has none."""
        if name not in live.metadata.finalizers:
            return False
        try:
            return await self._set_finalizers(kind, live, [each for each in live.metadata.finalizers if each != name])
        except NotFound:
            return False

    def lag(self, owner: Key, informers: Iterable[Informer[Any]]) -> Lag:
        """Whether what this owner wrote last has come back yet.

        Until it has, deciding would be deciding on the past: WAIT. After 10 s the informer may be cut off for long,
        which must not stop work for ever: BLIND, decide, and decide again soon.
        """
        written = self._written.get(owner)
        if not written:
            return Lag.NONE
        seen = {informer.name: informer.version_in(owner.namespace) for informer in informers}
        for resource in [each for each, (wrote, _) in written.items() if seen.get(each, wrote) >= wrote]:
            del written[resource]
        if not written:
            del self._written[owner]
            self._made.discard(owner)
            return Lag.NONE
        if max(since for _, since in written.values()) + LONGEST_WAIT > self._clock.monotonic():
            return Lag.WAIT
        self.waits_given_up += 1
        return Lag.BLIND

    def again(self, owner: Key, lag: Lag, after: float | None) -> float | None:
        """When to reconcile again at the latest, also because of what was made and has not been seen yet.

        It may be deleted before the informer hears of it: a list then tells of neither, and no event wakes anybody.
        """
        return (Lag.BLIND if owner in self._made else lag).again(after)

    def wrote(self, kind: Kind[T], obj: T) -> bool:
        """Whether this version of one of our own objects is the last that was written here."""
        return self._latest.get(key_of(obj), {}).get(kind.resource) == obj.metadata.resource_version

    def forget(self, owner: Key) -> None:
        """The owner is gone: nobody waits for its writes to come back."""
        self._written.pop(owner, None)
        self._made.discard(owner)
        self._latest.pop(owner, None)
        self._admissions.forget(owner)

    def _is_there(self, kind: Kind[T], owner: Key, wanted: Manifest, live: T) -> bool:
        return is_applied(wanted, live) or self._admissions.stands(owner, kind.resource, wanted, live)

    async def _set_finalizers(self, kind: Kind[T], live: T, finalizers: list[str]) -> bool:
        body = {"metadata": {"resourceVersion": live.metadata.resource_version, "finalizers": finalizers}}
        written = await self._client.patch(kind, key_of(live), body, content_type=MERGE_PATCH)
        self._remember(key_of(live), kind, written)
        return True

    def _remember(self, owner: Key, kind: Kind[Any], written: objects.Object) -> None:
        self.writes += 1
        known = self._written.setdefault(owner, {})
        before, _ = known.get(kind.resource, (0, 0.0))  # an apply that changed nothing answers with an old version
        known[kind.resource] = (max(before, version(written)), self._clock.monotonic())
        if owner == key_of(written):
            self._latest.setdefault(owner, {})[kind.resource] = written.metadata.resource_version


def with_replicas(wanted: Manifest, replicas: int, live: objects.Object | None) -> Manifest:
    """Return the manifest with what somebody else set, for the version at which it was so and for no other."""
    metadata = wanted["metadata"]
    if live is not None:
        metadata = {**metadata, "resourceVersion": live.metadata.resource_version}
    return {**wanted, "metadata": metadata, "spec": {**wanted["spec"], "replicas": replicas}}


def owner_of(desired: Manifest) -> Key:
    """The key of the controlling owner, whose reconcile this write belongs to; the object's own key without one."""
    metadata = desired["metadata"]
    owners = (each["name"] for each in metadata.get("ownerReferences") or () if each.get("controller"))
    return Key(metadata.get("namespace", ""), next(owners, metadata["name"]))
