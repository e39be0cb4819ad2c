"""Server-side apply: what a manager wants is merged upon the live object, and who owns which field is kept.

Pure. It never decides whether the result is valid: admission does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.apiserver import bounds, configurations
from llmkube.local.apiserver.fieldsets import IDENTITY, FieldSet, of_object, same_value, without
from llmkube.local.apiserver.managers import Owned, applier, fields_of, owners_of, updater, with_owners
from llmkube.local.apiserver.ownership import difference, lost, prefixes
from llmkube.local.objects import StatusError, bad_request

if TYPE_CHECKING:
    from llmkube.local.apiserver.fieldsets import Path
    from llmkube.local.apiserver.managers import Manager, Owners
    from llmkube.local.apiserver.ownership import Difference
    from llmkube.local.apiserver.shapes import Shape
    from llmkube.local.objects import Object

BEFORE_FIRST_APPLY = "before-first-apply"


def apply(
    live: Object | None,
    applied: Object,
    shape: Shape,
    *,
    manager: str,
    force: bool,
    now: str,
    subresource: str = "",
) -> Object:
    """The live object (None: there is none) with the applied configuration, metadata.managedFields kept; `now` is
    RFC 3339. StatusError: 400 for a configuration that cannot be applied, 409 where others own other values."""
    config = _configuration(applied, shape)
    writer, wanted = applier(manager, subresource), frozenset(of_object(config, shape))
    owners = owners_of(live) or _before_first_apply(live, shape, now)
    last = owners[writer].fields if writer in owners else frozenset()
    others = {owner: owned for owner, owned in owners.items() if owner != writer}
    new = _pruned(_merged(live, config, shape), shape, last, wanted | fields_of(others))
    change = difference(live, new, shape)
    if not force:
        _check_conflicts(others, change)
    same = wanted == last and same_value(_unowned(live or {}), _unowned(new))
    time = owners[writer].time if same and writer in owners else now
    owned = {writer: Owned(wanted, str(applied.get("apiVersion") or ""), time)} if wanted else {}
    return with_owners(new, {**lost(others, change), **owned}, live)


def _configuration(applied: Object, shape: Shape) -> Object:
    if (applied.get("metadata") or {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    config: Object = configurations.normal(bounds.checked(applied, "the applied configuration"), shape)
    return _unowned(config)


def _unowned(obj: Object) -> Object:
    meta = {name: value for name, value in (obj.get("metadata") or {}).items() if name != "managedFields"}
    return {**obj, "metadata": meta}


def _before_first_apply(live: Object | None, shape: Shape, now: str) -> Owners:
    """Nobody is known to own a field of the live object: one updater does, so that its fields are not taken unasked."""
    if live is None:
        return {}
    version = str(live.get("apiVersion") or "")
    owned = Owned(frozenset(of_object(live, shape)), version, now)
    return {updater(BEFORE_FIRST_APPLY, "", version): owned} if owned.fields else {}


def _merged(live: Object | None, config: Object, shape: Shape) -> Object:
    merged: Object = config if live is None else configurations.merged(_unowned(live), config, shape)
    return merged


def _pruned(merged: Object, shape: Shape, last: FieldSet, kept: FieldSet) -> Object:
    """The object without what this manager applied last, does not apply now, and nobody else owns."""
    gone = _with_structs(last) - _with_structs(kept) - IDENTITY
    pruned: Object = without(merged, shape, gone) if gone else merged
    return pruned


def _with_structs(fields: FieldSet) -> FieldSet:
    """Fields and the structs they are in: a struct goes as a whole, with its defaults, once nobody owns a part."""
    return fields | {path for path in prefixes(fields) if path[-1].startswith("f:")}


def _check_conflicts(others: Owners, change: Difference) -> None:
    taken = change.changed | change.replaced
    conflicts = [(owner, path) for owner, owned in others.items() for path in sorted(owned.fields & taken)]
    if conflicts:
        raise _conflict(sorted(conflicts, key=lambda one: (str(one[0]), one[1])))


def _conflict(conflicts: list[tuple[Manager, Path]]) -> StatusError:
    causes = [_cause(owner, path) for owner, path in conflicts]
    return StatusError(409, "Conflict", _message(conflicts), {"causes": causes})


def _cause(owner: Manager, path: Path) -> Object:
    text = configurations.path_text(path)
    return {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": text}


def _message(conflicts: list[tuple[Manager, Path]]) -> str:
    if len(conflicts) == 1:
        owner, path = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {owner}: {configurations.path_text(path)}"
    names = dict.fromkeys(str(owner) for owner, _ in conflicts)
    told = [line for name in names for line in _lines(name, conflicts)]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(told)


def _lines(name: str, conflicts: list[tuple[Manager, Path]]) -> list[str]:
    paths = [path for owner, path in conflicts if str(owner) == name]
    return [f"conflicts with {name}:", *(f"- {configurations.path_text(path)}" for path in paths)]
