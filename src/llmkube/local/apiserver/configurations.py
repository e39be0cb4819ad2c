"""An applied configuration: checked, and merged upon the live object as its shape says.

Pure. It knows values only, never who owns them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver.fieldsets import item_key, merges_by_field, merges_by_item
from llmkube.local.objects import StatusError, bad_request

if TYPE_CHECKING:
    from llmkube.local.apiserver.fieldsets import Path
    from llmkube.local.apiserver.shapes import Shape


def path_text(path: Path) -> str:
    """A path as Kubernetes prints it: .spec.containers[name="web"].image"""
    return "".join(_element_text(element) for element in path)


def _element_text(element: str) -> str:
    kind, _, rest = element.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "v":
        return f"[={rest}]"
    keys = json.loads(rest)
    return f"[{','.join(f'{name}={json.dumps(keys[name])}' for name in sorted(keys))}]"


def normal(value: Any, shape: Shape, path: Path = ()) -> Any:
    """The configuration without its nulls (a null is not applied). StatusError 400 for a list whose items cannot be
    told apart."""
    if merges_by_field(value, shape):
        fields = {name: below for name, below in value.items() if below is not None}
        return {name: normal(below, shape.field(name), (*path, f"f:{name}")) for name, below in fields.items()}
    if not merges_by_item(value, shape):
        return value
    _check_items(value, shape, path)
    if shape.merging == "set":
        return value
    return [normal(item, shape.item(), (*path, item_key(item, shape))) for item in value]


def _check_items(items: list[Any], shape: Shape, path: Path) -> None:
    seen: set[str] = set()
    for at, item in enumerate(items):
        _check_keys(item, shape, at, path)
        element = item_key(item, shape)
        if element in seen:
            raise _untyped(path, f"duplicate entries for key {_element_text(element)}")
        seen.add(element)


def _check_keys(item: Any, shape: Shape, at: int, path: Path) -> None:
    if shape.merging != "map":
        return
    if not isinstance(item, dict):
        raise _untyped(path, f"element {at}: associative list with keys may not have non-map elements")
    for key in shape.keys:
        if item.get(key) is None and shape.default_of(key) is None:
            why = f'associative list with keys has an element that omits key field "{key}"'
            raise _untyped(path, f"element {at}: {why} (and doesn't have default value)")


def _untyped(path: Path, why: str) -> StatusError:
    return bad_request(f"failed to create typed patch object: {path_text(path)}: {why}")


def merged(live: Any, applied: Any, shape: Shape) -> Any:
    """The live value with what is applied upon it."""
    if merges_by_field(applied, shape) and isinstance(live, dict):
        fields = {name: _merged_field(live, name, below, shape) for name, below in applied.items()}
        return {**live, **fields}
    if merges_by_item(applied, shape) and isinstance(live, list):
        return _merged_items(live, applied, shape)
    return applied


def _merged_field(live: dict[str, Any], name: str, applied: Any, shape: Shape) -> Any:
    return merged(live[name], applied, shape.field(name)) if name in live else applied


def _merged_items(live: list[Any], applied: list[Any], shape: Shape) -> list[Any]:
    """Applied items in their order; those that only the live list has stay before what they were before."""
    wanted = {item_key(item, shape): item for item in applied}
    rest = [(item_key(item, shape), item) for item in reversed(live)]
    was = dict(rest)
    after: list[Any] = []
    placed: set[str] = set()
    for element, item in wanted.items():
        _take_unapplied(rest, after, wanted, placed)
        after.append(merged(was[element], item, shape.item()) if element in was else item)
        placed.add(element)
    _take_unapplied(rest, after, wanted, placed)
    return after


def _take_unapplied(rest: list[tuple[str, Any]], after: list[Any], wanted: dict[str, Any], placed: set[str]) -> None:
    """Moves live items (`rest` is last first) until the next one that is applied and not placed yet."""
    while rest and (rest[-1][0] not in wanted or rest[-1][0] in placed):
        element, item = rest.pop()
        if element not in wanted:
            after.append(item)


def told(undeclared: list[str]) -> str:
    """Fields that no schema declares, as an error of the typed patch names them."""
    lines = [f".{path}: field not declared in schema" for path in undeclared]
    return lines[0] if len(lines) == 1 else "errors:" + "".join(f"\n  {line}" for line in lines)
