"""Sets of fields as server-side apply keeps them: of an object, as FieldsV1, and what differs between two objects.

A path is a tuple of FieldsV1 elements: "f:spec", 'k:{"name":"web"}', 'v:"x"'. Pure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.local.apiserver.shapes import Shape
    from llmkube.local.objects import Object

Path = tuple[str, ...]
FieldSet = frozenset[Path]

IDENTITY = frozenset(
    {("f:apiVersion",), ("f:kind",)}
    | {("f:metadata", f"f:{name}") for name in ("name", "namespace", "uid", "resourceVersion", "generation")}
    | {("f:metadata", f"f:{name}") for name in ("creationTimestamp", "managedFields", "selfLink", "generateName")}
    | {("f:metadata", f"f:{name}") for name in ("deletionTimestamp", "deletionGracePeriodSeconds")}
    | {("f:metadata",)}
)


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def same_value(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is 1.0 and is not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_value(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def item_key(item: Any, shape: Shape) -> str:
    """The path element of an item of a list-map or set."""
    if shape.merging == "set":
        return f"v:{compact(item)}"
    found = item if isinstance(item, dict) else {}
    keys = {key: found.get(key, shape.default_of(key)) for key in shape.keys}
    return f"k:{compact({key: value for key, value in keys.items() if value is not None})}"


def merges_by_item(value: Any, shape: Shape) -> bool:
    return isinstance(value, list) and shape.merging in {"map", "set"}


def merges_by_field(value: Any, shape: Shape) -> bool:
    return isinstance(value, dict) and shape.merging != "atomic"


def leaves(value: Any, shape: Shape, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The fields that can be owned, with their values. An item of a list-map is a field of its own (value: its key)."""
    if merges_by_field(value, shape) and (value or not path):
        for name, below in value.items():
            yield from leaves(below, shape.field(name), (*path, f"f:{name}"))
    elif merges_by_item(value, shape) and value:
        for item in value:
            yield from _item_leaves(item, shape, path)
    else:
        yield path, value


def _item_leaves(item: Any, shape: Shape, path: Path) -> Iterator[tuple[Path, Any]]:
    element = item_key(item, shape)
    yield (*path, element), element
    if shape.merging == "map" and isinstance(item, dict):
        for name, below in item.items():
            yield from leaves(below, shape.item().field(name), (*path, element, f"f:{name}"))


def of_object(obj: Object, shape: Shape) -> dict[Path, Any]:
    """Every ownable field of an object with its value."""
    return {path: value for path, value in leaves(obj, shape) if path[:2] not in IDENTITY and path not in IDENTITY}


def to_fields_v1(paths: FieldSet) -> Object:
    tree: Object = {}
    inner = {path[:length] for path in paths for length in range(1, len(path))}
    for path in sorted(paths):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        if path in inner:
            node["."] = {}
    return tree


def from_fields_v1(tree: Object) -> FieldSet:
    return frozenset(_paths(tree, ()))


def _paths(tree: Object, path: Path) -> Iterator[Path]:
    if path and (not tree or "." in tree):
        yield path
    for element, below in tree.items():
        if element != ".":
            yield from _paths(below, (*path, element))


def without(value: Any, shape: Shape, removed: FieldSet, path: Path = ()) -> Any:
    """The value without some of its fields and items. A map or list that becomes empty stays, unless it is removed."""
    if merges_by_field(value, shape):
        kept = {name: below for name, below in value.items() if (*path, f"f:{name}") not in removed}
        return {name: without(below, shape.field(name), removed, (*path, f"f:{name}")) for name, below in kept.items()}
    if not merges_by_item(value, shape):
        return value
    items = [((*path, item_key(item, shape)), item) for item in value]
    left = [(element, item) for element, item in items if element not in removed]
    return [_item_without(item, shape, removed, element) for element, item in left]


def _item_without(item: Any, shape: Shape, removed: FieldSet, path: Path) -> Any:
    return without(item, shape.item(), removed, path) if shape.merging == "map" else item
