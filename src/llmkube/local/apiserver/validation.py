"""Whether a value fits a structural schema: types, enums, patterns, bounds, required fields, unique keys, rules.

Pure and total: whatever the value, it gives a list of causes, in kube-apiserver's words.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import alternatives, formats, rules
from llmkube.local.apiserver.correlation import NOTHING, field_of, is_kept, item_of
from llmkube.local.apiserver.errors import Cause
from llmkube.local.apiserver.pruning import schema_of

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
SHOWN_CHARACTERS = 10_000
ROOT = "<nil>"
SHAPE = frozenset(
    {"FieldValueTypeInvalid", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueNotSupported"}
)
NOT_CHECKED = Cause(
    "FieldValueInvalid",
    ROOT,
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)


def problems(obj: Object, old: Object | None, schema: Object, *, has_rules: bool) -> list[Cause]:
    """Everything that is wrong and was not before; rules are asked only about an object whose shape is right."""
    before = NOTHING if old is None else old
    found = list(shape(obj, before, schema, "", 0))
    if old is None or not list(duplicates(old, schema, "")):
        found += duplicates(obj, schema, "")
    if not has_rules:
        return found
    if any(one.reason in SHAPE for one in found):
        return [*found, NOT_CHECKED]
    return [*found, *rules.problems(rules.known(obj), before if old is None else rules.known(old), schema)]


def shape(value: Any, old: Any, schema: Object, path: str, depth: int) -> Iterator[Cause]:
    if is_kept(value, old) or (value is None and schema.get("nullable")):
        return
    if depth > DEEPEST:
        yield Cause("FieldValueInvalid", path, f"Invalid value: nested more than {DEEPEST} levels deep")
        return
    if not _has_type(value, schema):
        yield _wrong_type(value, _types(schema), path)
    else:
        yield from _enum(value, schema, path)
        if isinstance(value, str):
            yield from _text(value, schema, path)
        elif isinstance(value, dict):
            yield from _map(value, old, schema, path, depth)
        elif isinstance(value, list):
            yield from _list(value, old, schema, path, depth)
        yield from alternatives.problems(schema, path, lambda one: shape(value, NOTHING, one, path, depth + 1))
    if isinstance(value, int | float) and not isinstance(value, bool):
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


def _types(schema: Object) -> str:
    return "integer,string" if schema.get("x-kubernetes-int-or-string") else str(schema.get("type"))


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return next((name for name, types in TYPES.items() if isinstance(value, types)), "unknown")


def _wrong_type(value: Any, expected: str, path: str) -> Cause:
    found = _type_name(value)
    why = f'{path or "body"} in body must be of type {expected}: "{found}"'
    return Cause("FieldValueTypeInvalid", path or ROOT, f'Invalid value: "{found}": {why}')


def _enum(value: Any, schema: Object, path: str) -> Iterator[Cause]:
    allowed = schema.get("enum")
    if allowed and value not in allowed:
        names = [one if isinstance(one, str) else json.dumps(one, separators=(",", ":")) for one in allowed]
        supported = ", ".join(json.dumps(one) for one in names)
        yield Cause(
            "FieldValueNotSupported", path, f"Unsupported value: {json.dumps(value)}: supported values: {supported}"
        )


def _invalid(path: str, value: Any, why: str) -> Cause:
    return Cause("FieldValueInvalid", path, f"Invalid value: {value}: {path} in body {why}")


def _text(value: str, schema: Object, path: str) -> Iterator[Cause]:
    shown = json.dumps(value[:SHOWN_CHARACTERS], ensure_ascii=False)
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is not None and len(value) > longest:
        yield Cause("FieldValueTooLong", path, f"Too long: may not be more than {longest} bytes")
    elif shortest is not None and len(value) < shortest:
        yield _invalid(path, shown, f"should be at least {shortest} chars long")
    elif pattern and not re.search(pattern, value):
        yield _invalid(path, shown, f"should match '{pattern}'")
    if not formats.fits(value, name := schema.get("format", "")):
        why = f"{path} in body must be of type {name}: {shown}"
        yield Cause("FieldValueTypeInvalid", path, f"Invalid value: {shown}: {why}")


def _number(value: float, schema: Object, path: str) -> Iterator[Cause]:
    kind, name = schema.get("type", ""), schema.get("format", "")
    if not formats.holds(value, kind, name):
        expected = f"with format {name}" if name else "(default format)"
        why = f"Checked value must be of type {kind} {expected} in {path}"
        yield Cause("FieldValueInvalid", ROOT, f'Invalid value: "": {why}')
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if step and value % step:
        yield _invalid(path, value, f"should be a multiple of {step}")
    if high is not None and (value > high or (value == high and schema.get("exclusiveMaximum"))):
        yield _invalid(path, value, f"should be less than {_or_equal(schema, 'exclusiveMaximum')}{high}")
    if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum"))):
        yield _invalid(path, value, f"should be greater than {_or_equal(schema, 'exclusiveMinimum')}{low}")


def _or_equal(schema: Object, exclusive: str) -> str:
    return "" if schema.get(exclusive) else "or equal to "


def _bounds(found: int, schema: Object, path: str, what: str) -> Iterator[Cause]:
    """How many items or properties there may be."""
    least, most = schema.get(f"min{what.capitalize()}"), schema.get(f"max{what.capitalize()}")
    if least is not None and found < least:
        yield _invalid(path, found, f"should have at least {least} {what}")
    if most is not None and found > most:
        yield Cause("FieldValueTooMany", path, f"Too many: {found}: must have at most {most} items")


def _map(value: Object, old: Any, schema: Object, path: str, depth: int) -> Iterator[Cause]:
    yield from _bounds(len(value), schema, path, "properties")
    for name in schema.get("required") or ():
        if name not in value:
            yield Cause("FieldValueRequired", _below(path, name), "Required value")
    for name, below in value.items():
        yield from shape(below, field_of(old, name), schema_of(schema, name) or {}, _below(path, name), depth + 1)


def _list(value: list[Any], old: Any, schema: Object, path: str, depth: int) -> Iterator[Cause]:
    yield from _bounds(len(value), schema, path, "items")
    if len(value) > schema.get("maxItems", len(value)):
        return
    for at, item in enumerate(value):
        yield from shape(item, item_of(old, schema, item), schema.get("items") or {}, f"{path}[{at}]", depth + 1)


def duplicates(value: Any, schema: Object, path: str) -> Iterator[Cause]:
    """Items of sets and map lists that are there twice, anywhere below."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from duplicates(below, schema_of(schema, name) or {}, _below(path, name))
    elif isinstance(value, list):
        yield from _twice(value, schema, path)
        for at, item in enumerate(value):
            yield from duplicates(item, schema.get("items") or {}, f"{path}[{at}]")


def _twice(value: list[Any], schema: Object, path: str) -> Iterator[Cause]:
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen: set[str] = set()
    for at, item in enumerate(value if kind in {"map", "set"} else ()):
        key = {name: item.get(name) for name in keys} if kind == "map" and isinstance(item, dict) else item
        text = json.dumps(key, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if text in seen:
            yield Cause("FieldValueDuplicate", f"{path}[{at}]", f"Duplicate value: {text}")
        seen.add(text)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
