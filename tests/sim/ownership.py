"""Server-side apply, as far as the simulation needs it: maps are merged field by field, every list is atomic.

The real merge is tests/conformance' subject; here only what one manager's intent sets and takes away matters.
"""

from __future__ import annotations

from typing import Any

import msgspec

Manifest = dict[str, Any]
Path = tuple[str, ...]
Owners = dict[str, frozenset[Path]]


def copied(value: Any) -> Any:
    """Return it as it comes back from the wire; a tenth of what copy.deepcopy takes."""
    return msgspec.json.decode(msgspec.json.encode(value))


def leaves(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Every path of a manifest that ends in a value; an empty map is one."""
    if not isinstance(value, dict) or not value:
        return {path: value} if path else {}
    return {at: found for name, each in value.items() for at, found in leaves(each, (*path, name)).items()}


def applied(live: Manifest, owners: Owners, manager: str, intent: Manifest) -> tuple[Manifest, Owners]:
    """The object after a forced apply, and who owns what."""
    wanted = leaves(intent)
    merged: Manifest = copied(live)
    others = frozenset(path for who, paths in owners.items() if who != manager for path in paths)
    for path in sorted(owners.get(manager, frozenset()) - set(wanted) - others):
        _remove(merged, path)
    for path, value in wanted.items():
        _set(merged, path, copied(value) if isinstance(value, list | dict) else value)
    return merged, {**owners, manager: frozenset(wanted)}


def merged(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _set(obj: Manifest, path: Path, value: Any) -> None:
    for name in path[:-1]:
        if not isinstance(obj.get(name), dict):
            obj[name] = {}
        obj = obj[name]
    obj[path[-1]] = value


def _remove(obj: Manifest, path: Path) -> None:
    inner = obj.get(path[0])
    if len(path) == 1:
        obj.pop(path[0], None)
    elif isinstance(inner, dict):
        _remove(inner, path[1:])
        if not inner:
            del obj[path[0]]
