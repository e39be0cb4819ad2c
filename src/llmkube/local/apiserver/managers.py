"""metadata.managedFields as values: who owns which fields, read from an object and written back.

It reads what is stored and forgives what it does not understand; it never looks at the fields' values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmkube.local.apiserver.fieldsets import FieldSet, from_fields_v1, to_fields_v1

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmkube.local.objects import Object

APPLY = "Apply"
UPDATE = "Update"
MAX_UPDATERS = 10
ANCIENT = "ancient-changes"


class Manager(NamedTuple):
    """Who owns fields. An applier is one manager in all versions of a resource, an updater one in each."""

    name: str
    operation: str
    subresource: str = ""
    version: str = ""

    def __str__(self) -> str:
        """As an error of Kubernetes names it."""
        named = f'"{self.name}"' + (f' with subresource "{self.subresource}"' if self.subresource else "")
        return f"{named} using {self.version}" if self.operation == UPDATE else named


class Owned(NamedTuple):
    """What a manager owns; the apiVersion it wrote with; when it last took a field, in RFC 3339."""

    fields: FieldSet
    version: str
    time: str


Owners = dict[Manager, Owned]


def applier(name: str, subresource: str) -> Manager:
    return Manager(name, APPLY, subresource)


def updater(name: str, subresource: str, version: str) -> Manager:
    return Manager(name or "unknown", UPDATE, subresource, version)


def owners_of(obj: Object | None) -> Owners:
    entries = ((obj or {}).get("metadata") or {}).get("managedFields")
    read = (_read(entry) for entry in entries or () if isinstance(entry, dict)) if isinstance(entries, list) else ()
    return {manager: owned for manager, owned in read if owned.fields}


def _read(entry: Object) -> tuple[Manager, Owned]:
    fields, version = entry.get("fieldsV1"), str(entry.get("apiVersion") or "")
    operation = APPLY if entry.get("operation") == APPLY else UPDATE
    name, subresource = str(entry.get("manager") or ""), str(entry.get("subresource") or "")
    manager = applier(name, subresource) if operation == APPLY else updater(name, subresource, version)
    owned = from_fields_v1(fields) if isinstance(fields, dict) else frozenset()
    return manager, Owned(owned, version, str(entry.get("time") or ""))


def entries_of(owners: Mapping[Manager, Owned]) -> list[Object]:
    """managedFields in Kubernetes' order: appliers first, then by time and name."""
    kept = [(manager, owned) for manager, owned in owners.items() if owned.fields]
    kept.sort(key=lambda one: (one[0].operation, one[1].time, one[0].name, one[1].version, one[0].subresource))
    return [_written(manager, owned) for manager, owned in kept]


def _written(manager: Manager, owned: Owned) -> Object:
    entry: dict[str, Any] = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": owned.version,
        "time": owned.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(owned.fields),
        "subresource": manager.subresource,
    }
    return {name: value for name, value in entry.items() if value}


def with_owners(obj: Object, owners: Mapping[Manager, Owned], old: Object | None) -> Object:
    """The object with these owners; entries that say what `old` said are those of `old`."""
    meta = {name: value for name, value in (obj.get("metadata") or {}).items() if name != "managedFields"}
    entries = kept_entries(owners, old)
    return {**obj, "metadata": {**meta, "managedFields": entries} if entries else meta}


def kept_entries(owners: Mapping[Manager, Owned], old: Object | None) -> list[Object]:
    was: list[Object] = ((old or {}).get("metadata") or {}).get("managedFields") or []
    return was if was and dict(owners) == owners_of(old) else entries_of(capped(owners))


def capped(owners: Mapping[Manager, Owned]) -> Owners:
    """At most MAX_UPDATERS updaters: the oldest become one per version, so that the list never grows without end."""
    updaters = sorted((one for one in owners if one.operation == UPDATE), key=lambda one: owners[one].time)
    oldest = updaters[: max(0, len(updaters) - MAX_UPDATERS + 1)] if len(updaters) > MAX_UPDATERS else []
    kept = {manager: owned for manager, owned in owners.items() if manager not in oldest}
    for manager in oldest:
        _join(kept, Manager(ANCIENT, UPDATE, "", manager.version), owners[manager])
    return kept


def _join(owners: Owners, manager: Manager, owned: Owned) -> None:
    had = owners.get(manager, owned)
    owners[manager] = Owned(had.fields | owned.fields, owned.version, max(had.time, owned.time))


def fields_of(owners: Mapping[Manager, Owned], *, but: Iterable[Manager] = ()) -> FieldSet:
    """Every field that somebody owns."""
    without = set(but)
    sets = [owned.fields for manager, owned in owners.items() if manager not in without]
    return frozenset().union(*sets) if sets else frozenset()
