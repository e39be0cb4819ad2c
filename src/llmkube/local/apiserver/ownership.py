"""Who owns the fields of an object after it was created, updated or patched (server-side apply is apply.py).

Pure. The writer gains what it changed; everybody else loses what was changed or taken away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmkube.local.apiserver.fieldsets import FieldSet, of_object, same_value
from llmkube.local.apiserver.managers import Owned, owners_of, updater, with_owners

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from llmkube.local.apiserver.fieldsets import Path
    from llmkube.local.apiserver.managers import Manager, Owners
    from llmkube.local.apiserver.shapes import Shape
    from llmkube.local.objects import Object


class Difference(NamedTuple):
    """Between two states of an object: fields that are new or have another value, those that became something else
    than a field, and every place that is there now."""

    changed: FieldSet
    replaced: FieldSet
    present: FieldSet


def track(old: Object | None, new: Object, shape: Shape, *, manager: str, now: str, subresource: str = "") -> Object:
    """The new object with metadata.managedFields; `now` is RFC 3339. An update that sends managedFields [] or [{}]
    forgets all owners; what else it sends there is ignored."""
    if old is not None and clears(new):
        return with_owners(new, {}, None)
    owners = owners_of(old)
    if old is not None and not owners:
        return with_owners(new, {}, None)
    change = difference(old, new, shape)
    writer = updater(manager, subresource, str(new.get("apiVersion") or ""))
    return with_owners(new, gained(lost(owners, change), writer, change.changed, now), old)


def clears(obj: Object) -> bool:
    sent = (obj.get("metadata") or {}).get("managedFields")
    return sent in ([], [{}])


def difference(old: Object | None, new: Object, shape: Shape) -> Difference:
    was, now = of_object(old or {}, shape), of_object(new, shape)
    inner_was, inner_now = prefixes(was), prefixes(now)
    changed = (path for path, value in now.items() if not _is_kept(path, value, was, inner_was))
    replaced = (path for path, value in was.items() if path in inner_now and path not in now and not _is_empty(value))
    return Difference(frozenset(changed), frozenset(replaced), inner_now | now.keys())


def _is_kept(path: Path, value: Any, was: Mapping[Path, Any], inner: FieldSet) -> bool:
    """The same as before; a map or list that lost the last of its fields or items is still that map or list."""
    return same_value(was[path], value) if path in was else _is_empty(value) and path in inner


def _is_empty(value: Any) -> bool:
    return isinstance(value, dict | list) and not value


def prefixes(paths: Iterable[Path]) -> FieldSet:
    """The places that have a field below them."""
    return frozenset(path[:length] for path in paths for length in range(1, len(path)))


def lost(owners: Mapping[Manager, Owned], change: Difference) -> Owners:
    """The owners without what another one changed or took away."""
    gone = change.changed | change.replaced
    left = {manager: owned._replace(fields=(owned.fields & change.present) - gone) for manager, owned in owners.items()}
    return {manager: owned for manager, owned in left.items() if owned.fields}


def gained(owners: Mapping[Manager, Owned], writer: Manager, fields: FieldSet, now: str) -> Owners:
    if not fields:
        return dict(owners)
    had = owners[writer].fields if writer in owners else frozenset()
    return {**owners, writer: Owned(had | fields, writer.version, now)}
