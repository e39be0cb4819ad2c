"""Kubernetes' strategic merge patch: maps merge by field, lists by their merge key, as their shape says.

The directives "$patch", "$setElementOrder/x", "$deleteFromPrimitiveList/x" and "$retainKeys" are obeyed and never
stored. Pure; inputs are never changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import listmaps
from llmkube.local.apiserver.listmaps import DIRECTIVE
from llmkube.local.objects import bad_request

if TYPE_CHECKING:
    from llmkube.local.apiserver.shapes import Shape
    from llmkube.local.objects import Object

RETAIN = "$retainKeys"
ORDER = "$setElementOrder/"
DELETE_VALUES = "$deleteFromPrimitiveList/"


def merged(value: Object, patch: Object, shape: Shape) -> Object:
    """The map after the patch. StatusError 400 for a directive that is malformed or a list item without its key."""
    directive = patch.get(DIRECTIVE)
    fields = {name: below for name, below in patch.items() if not _is_directive(name)}
    if directive == "delete":
        return {}
    if directive == "replace":
        return merged({}, fields, shape)
    if directive is not None and directive != "merge":
        raise _unknown_directive(directive)
    base = _retained(value, fields, patch.get(RETAIN))
    names = dict.fromkeys([*base, *fields, *(_list_named(name) for name in patch if _is_about_a_list(name))])
    after = {name: _field(base.get(name), name, patch, shape) for name in names}
    return {name: below for name, below in after.items() if below is not None or _untouched(name, base, patch)}


def _unknown_directive(directive: Any) -> Exception:
    return bad_request(
        f'unknown patch type found: {str(directive)[:40]}: {DIRECTIVE} is "merge", "replace" or "delete"'
    )


def _is_directive(name: str) -> bool:
    return name in {DIRECTIVE, RETAIN} or _is_about_a_list(name)


def _is_about_a_list(name: str) -> bool:
    return name.startswith((ORDER, DELETE_VALUES))


def _list_named(directive: str) -> str:
    return directive.partition("/")[2]


def _untouched(name: str, base: Object, patch: Object) -> bool:
    return name in base and name not in patch


def _retained(value: Object, fields: Object, names: Any) -> Object:
    if names is None:
        return value
    if not isinstance(names, list) or any(name not in names for name in fields):
        raise bad_request(f"invalid patch format of retainKeys: {RETAIN} must list every field of its patch")
    return {name: below for name, below in value.items() if name in names}


def _field(value: Any, name: str, patch: Object, shape: Shape) -> Any:
    """One field after the patch; None when it goes."""
    below, order, gone = patch.get(name), patch.get(ORDER + name), patch.get(DELETE_VALUES + name)
    if name in patch and below is None:
        return None
    if isinstance(below, dict):
        return merged(value if isinstance(value, dict) else {}, below, shape.field(name))
    if below is not None and not isinstance(below, list):
        return below
    if below is None and order is None and gone is None:
        return value
    return _list(value, below, shape.field(name), order=_listed(order, ORDER + name), gone=_listed(gone, name))


def _listed(value: Any, name: str) -> list[Any] | None:
    if value is not None and not isinstance(value, list):
        raise bad_request(f"{name} of a strategic merge patch must be a list, found {type(value).__name__}")
    return value


def _list(value: Any, patch: list[Any] | None, shape: Shape, *, order: list[Any] | None, gone: list[Any] | None) -> Any:
    base = value if isinstance(value, list) else []
    if shape.keys:
        after = listmaps.merged(base, patch or [], shape, merged)
        after = listmaps.ordered(after, base, order, shape.keys[0])
    elif shape.merging == "set":
        after = listmaps.ordered(listmaps.united(base, patch or [], gone or []), base, order, "")
    else:
        return value if patch is None else [_plain(item, shape) for item in patch]
    was_there = isinstance(value, list) or patch is not None
    return after if after or was_there else None


def _plain(item: Any, shape: Shape) -> Any:
    """An item of a list that is replaced as a whole, without directives."""
    return merged({}, item, shape.item()) if isinstance(item, dict) else item
