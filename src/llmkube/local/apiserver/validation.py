"""Whether a value fits a structural schema: types, enums, patterns, bounds, required fields, unique keys, rules.

Pure and total: whatever the value, it gives a list of causes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import cel
from llmkube.local.apiserver.errors import Cause
from llmkube.local.apiserver.pruning import properties_of, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.local.objects import Object

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
DEEPEST = 64


def problems(value: Any, old: Any, schema: Object) -> list[Cause]:
    """Everything that is wrong; rules are asked only about values whose shape is right."""
    shape = list(_shape(value, schema, "", 0))
    return shape or list(_rules(value, old, schema, ""))


def _shape(value: Any, schema: Object, path: str, depth: int) -> Iterator[Cause]:
    if depth > DEEPEST:
        yield Cause("FieldValueInvalid", path, f"Invalid value: nested more than {DEEPEST} levels deep")
    elif value is None and schema.get("nullable"):
        return
    elif not _has_type(value, schema):
        yield Cause(
            "FieldValueTypeInvalid", path, f'Invalid value: "{_type_name(value)}": {_wrong_type(value, schema, path)}'
        )
    else:
        yield from _enum(value, schema, path)
        if isinstance(value, str):
            yield from _text(value, schema, path)
        elif isinstance(value, dict):
            yield from _map(value, schema, path, depth)
        elif isinstance(value, list):
            yield from _list(value, schema, path, depth)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from _number(value, schema, path)


def _has_type(value: Any, schema: Object) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    expected = schema.get("type")
    if expected is None:
        return True
    if isinstance(value, bool):
        return bool(expected == "boolean")
    if expected == "integer" and isinstance(value, float):
        return value.is_integer()
    return bool(isinstance(value, TYPES.get(expected, (object,))))


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return next((name for name, types in TYPES.items() if isinstance(value, types)), "unknown")


def _wrong_type(value: Any, schema: Object, path: str) -> str:
    expected = "integer,string" if schema.get("x-kubernetes-int-or-string") else schema.get("type")
    return f'{path or "body"} in body must be of type {expected}: "{_type_name(value)}"'


def _enum(value: Any, schema: Object, path: str) -> Iterator[Cause]:
    allowed = schema.get("enum")
    if allowed and value not in allowed:
        supported = ", ".join(json.dumps(one) for one in allowed)
        yield Cause(
            "FieldValueNotSupported", path, f"Unsupported value: {json.dumps(value)}: supported values: {supported}"
        )


def _text(value: str, schema: Object, path: str) -> Iterator[Cause]:
    shown = f"Invalid value: {json.dumps(value[:200])}: {path} in body"
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is not None and len(value) > longest:
        yield Cause("FieldValueTooLong", path, f"Too long: may not be more than {longest} bytes")
    elif shortest is not None and len(value) < shortest:
        yield Cause("FieldValueInvalid", path, f"{shown} should be at least {shortest} chars long")
    elif pattern and not re.search(pattern, value):
        yield Cause("FieldValueInvalid", path, f"{shown} should match '{pattern}'")


def _number(value: float, schema: Object, path: str) -> Iterator[Cause]:
    shown = f"Invalid value: {value}: {path} in body"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and value < low:
        yield Cause("FieldValueInvalid", path, f"{shown} should be greater than or equal to {low}")
    if high is not None and value > high:
        yield Cause("FieldValueInvalid", path, f"{shown} should be less than or equal to {high}")


def _map(value: Object, schema: Object, path: str, depth: int) -> Iterator[Cause]:
    for name in schema.get("required") or ():
        if name not in value:
            yield Cause("FieldValueRequired", _below(path, name), "Required value")
    most = schema.get("maxProperties")
    if most is not None and len(value) > most:
        yield Cause("FieldValueTooMany", path, f"Too many: {len(value)}: must have at most {most} items")
    for name, below in value.items():
        yield from _shape(below, schema_of(schema, name) or {}, _below(path, name), depth + 1)


def _list(value: list[Any], schema: Object, path: str, depth: int) -> Iterator[Cause]:
    most, least = schema.get("maxItems"), schema.get("minItems")
    if most is not None and len(value) > most:
        yield Cause("FieldValueTooMany", path, f"Too many: {len(value)}: must have at most {most} items")
        return
    if least is not None and len(value) < least:
        yield Cause(
            "FieldValueInvalid", path, f"Invalid value: {len(value)}: {path} in body should have at least {least} items"
        )
    for at, item in enumerate(value):
        yield from _shape(item, schema.get("items") or {}, f"{path}[{at}]", depth + 1)
    yield from _duplicates(value, schema, path)


def _duplicates(value: list[Any], schema: Object, path: str) -> Iterator[Cause]:
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen: set[str] = set()
    for at, item in enumerate(value if kind in {"map", "set"} else ()):
        key = {name: item.get(name) for name in keys} if kind == "map" and isinstance(item, dict) else item
        text = json.dumps(key, sort_keys=True)
        if text in seen:
            yield Cause("FieldValueDuplicate", f"{path}[{at}]", f"Duplicate value: {text}")
        seen.add(text)


def _rules(value: Any, old: Any, schema: Object, path: str) -> Iterator[Cause]:
    yield from cel.problems(value, old, schema, path)
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        known = properties_of(schema)
        for name, below in value.items():
            if name in known or schema.get("additionalProperties"):
                yield from _rules(below, before.get(name), schema_of(schema, name) or {}, _below(path, name))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _rules(item, None, schema.get("items") or {}, f"{path}[{at}]")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
