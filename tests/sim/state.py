"""What a model API server knows: objects, their versions, and the events that led here. No network, no faults."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from tests.sim.loop import EPOCH
from tests.sim.ownership import Manifest, Owners, applied, copied, merged

from llmkube.kube import kinds
from llmkube.kube.errors import ApiError, of_status
from llmkube.kube.kinds import Key, Kind

KINDS: dict[str, Kind[Any]] = {each.plural: each for each in vars(kinds).values() if isinstance(each, Kind)}
WITH_STATUS = {"models", "inferenceservices", "deployments", "jobs", "pods", "persistentvolumeclaims"}


class Event(NamedTuple):
    """One change of one object; `before` is None for the first."""

    version: int
    before: Manifest | None
    after: Manifest | None


@dataclass
class Stored:
    """An object that must not be changed in place, and who owns its fields."""

    manifest: Manifest
    owners: Owners = field(default_factory=dict)


@dataclass
class History:
    """What happened to one resource since it was forgotten: `forgotten` is the version of the last event that was."""

    events: list[Event] = field(default_factory=list)
    forgotten: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def after(self, version: int) -> list[Event]:
        first = len(self.events)
        while first > 0 and self.events[first - 1].version > version:
            first -= 1
        return self.events[first:]

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()
        self.changed = asyncio.Event()

    def forget(self) -> None:
        if self.events:
            self.forgotten = self.events[-1].version
            self.events.clear()


class State:
    """Objects by resource and key, and how each resource came to be what it is since `compacted`."""

    def __init__(self) -> None:
        self.version = 100
        self.compacted = 100
        self.histories = {plural: History() for plural in KINDS}
        self.objects: dict[str, dict[Key, Stored]] = {plural: {} for plural in KINDS}
        self._uids = 0

    def get(self, resource: str, key: Key) -> Manifest:
        return self._stored(resource, key).manifest

    def find(self, resource: str, key: Key) -> Manifest | None:
        found = self.objects[resource].get(key)
        return found.manifest if found else None

    def items(self, resource: str, namespace: str = "") -> list[Manifest]:
        found = sorted(self.objects[resource].items())
        return [each.manifest for key, each in found if namespace in ("", key.namespace)]

    def create(self, resource: str, obj: Manifest, owners: Owners | None = None) -> Manifest:
        key = key_of(obj)
        if key in self.objects[resource]:
            raise refused(409, "AlreadyExists", f"{resource} {key!s} already exists")
        self._uids += 1
        metadata = {**obj["metadata"], "uid": f"uid-{self._uids:06}", "creationTimestamp": now(), "generation": 1}
        made = {**copied(obj), "metadata": metadata}
        if resource in WITH_STATUS:
            made.pop("status", None)
        if resource == "services":
            made.setdefault("spec", {}).setdefault("clusterIP", f"10.0.0.{self._uids % 250}")
        return self._put(resource, None, Stored(made, owners or {}))

    def replace(self, resource: str, obj: Manifest) -> Manifest:
        stored = self._stored(resource, key_of(obj))
        expect_version(obj, stored.manifest)
        return self._update(resource, stored, obj, stored.owners)

    def patch(self, resource: str, key: Key, body: Manifest, subresource: str = "") -> Manifest:
        stored = self._stored(resource, key)
        expect_version(body, stored.manifest)
        changed = only(body, subresource, resource)
        return self._update(resource, stored, merged(stored.manifest, changed), stored.owners)

    def apply(self, resource: str, obj: Manifest, manager: str, subresource: str = "") -> Manifest:
        key = key_of(obj)
        wanted_uid = obj["metadata"].get("uid")
        found = self.objects[resource].get(key)
        if found is None and (subresource or wanted_uid):
            raise refused(409 if wanted_uid and not subresource else 404, "NotFound", f"{resource} {key!s} not found")
        if found is None:
            content, owners = applied({}, {}, manager, obj)
            return self.create(resource, content, owners)
        if wanted_uid not in (None, found.manifest["metadata"]["uid"]):
            raise refused(409, "Conflict", f"{resource} {key!s}: uid mismatch")
        intent = only(obj, subresource, resource)
        return self._update(resource, found, *applied(found.manifest, found.owners, manager + subresource, intent))

    def delete(self, resource: str, key: Key, uid: str | None = None) -> Manifest:
        stored = self._stored(resource, key)
        if uid not in (None, stored.manifest["metadata"]["uid"]):
            raise refused(409, "Conflict", f"{resource} {key!s}: uid mismatch")
        metadata = stored.manifest["metadata"]
        if not metadata.get("finalizers"):
            return self._put(resource, stored, None)
        if metadata.get("deletionTimestamp"):
            return stored.manifest
        marked = {**stored.manifest, "metadata": {**metadata, "deletionTimestamp": now()}}
        return self._put(resource, stored, Stored(marked, stored.owners))

    def compact(self) -> None:
        """Forget how it came to this; who watches from earlier must list again."""
        self.compacted = self.version
        for history in self.histories.values():
            history.forget()

    def _stored(self, resource: str, key: Key) -> Stored:
        found = self.objects[resource].get(key)
        if found is None:
            raise refused(404, "NotFound", f'{resource} "{key.name}" not found')
        return found

    def _update(self, resource: str, stored: Stored, obj: Manifest, owners: Owners) -> Manifest:
        before = stored.manifest
        if content(before) == content(obj):
            self.objects[resource][key_of(before)] = Stored(before, owners)
            return before
        generation = before["metadata"]["generation"] + (desired(before) != desired(obj))
        kept = {name: before["metadata"][name] for name in ("uid", "creationTimestamp")}
        after = {**copied(obj), "metadata": {**obj["metadata"], **kept, "generation": generation}}
        if after["metadata"].get("deletionTimestamp") and not after["metadata"].get("finalizers"):
            return self._put(resource, stored, None)
        return self._put(resource, stored, Stored(after, owners))

    def _put(self, resource: str, before: Stored | None, after: Stored | None) -> Manifest:
        """One change: it takes the next version, which a deleted object gets too."""
        self.version += 1
        told = after or before
        assert told is not None
        metadata = {**told.manifest["metadata"], "resourceVersion": str(self.version)}
        manifest = {**told.manifest, "metadata": metadata}
        key = key_of(manifest)
        if after is None:
            del self.objects[resource][key]
        else:
            self.objects[resource][key] = Stored(manifest, after.owners)
        old = before.manifest if before else None
        event = Event(self.version, manifest if after is None else old, None if after is None else manifest)
        self.histories[resource].add(event)
        return manifest


def key_of(obj: Manifest) -> Key:
    return Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def content(obj: Manifest) -> Manifest:
    """All of it but what the server itself writes."""
    metadata = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "generation") and v}
    return {**obj, "metadata": metadata}


def desired(obj: Manifest) -> Manifest:
    """What a generation counts."""
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


def only(body: Manifest, subresource: str, resource: str) -> Manifest:
    """What a request may change: the status alone, or all but the status."""
    if subresource == "status":
        return {"status": body.get("status", {})}
    metadata = {k: v for k, v in body.get("metadata", {}).items() if k not in ("resourceVersion", "uid")}
    kept = {k: v for k, v in body.items() if k != "status" or resource not in WITH_STATUS}
    return {**kept, "metadata": metadata}


def expect_version(body: Manifest, live: Manifest) -> None:
    version = body.get("metadata", {}).get("resourceVersion")
    if version not in (None, live["metadata"]["resourceVersion"]):
        raise refused(409, "Conflict", "the object has been modified; please apply your changes to the latest version")


def refused(code: int, reason: str, message: str) -> ApiError:
    return of_status(code, reason, message)


def now() -> str:
    moment = EPOCH + timedelta(seconds=asyncio.get_running_loop().time())
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
