"""RFC 6902: a list of operations upon a JSON document. Pure; the document given is never changed.

Every operation copies the maps and lists on its path and shares the rest.
"""

from __future__ import annotations

from typing import Any

from llmkube.local.apiserver import bounds
from llmkube.local.apiserver.fieldsets import same_value
from llmkube.local.objects import StatusError, bad_request

MAX_OPERATIONS = 10_000
MAX_COPIED = 3 * 1024 * 1024
NEEDED = {
    "add": ("path", "value"),
    "replace": ("path", "value"),
    "test": ("path", "value"),
    "remove": ("path",),
    "move": ("path", "from"),
    "copy": ("path", "from"),
}
Pointer = tuple[str, ...]


class _MissingError(Exception):
    """There is nothing at the place that a pointer names."""


def applied(document: Any, operations: Any) -> Any:
    """The document after all operations. StatusError: 400 for a malformed patch, 413 too many operations, 422 for
    an operation that does not fit the document."""
    if not isinstance(operations, list):
        raise bad_request(f"a JSON patch is a list of operations, found {type(operations).__name__}")
    if len(operations) > MAX_OPERATIONS:
        why = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {why}")
    copied = 0
    for operation in operations:
        document, more = _operated(document, _checked(operation))
        copied += more
        if copied > MAX_COPIED:
            raise _rejected(f"Unable to complete the copy, the accumulated size increase of copy is {copied}")
    return document


def _rejected(why: str) -> StatusError:
    message = f"the server rejected our request due to an error in our request: {why}"
    return StatusError(422, "Invalid", message)


def _checked(operation: Any) -> dict[str, Any]:
    if not isinstance(operation, dict) or not isinstance(kind := operation.get("op", ""), str):
        raise bad_request(f"error decoding patch: {str(operation)[:80]} is no operation of a JSON patch")
    if kind not in NEEDED:
        raise _rejected(f"Unexpected kind: {kind}: a JSON patch operation is one of {', '.join(NEEDED)}")
    missing = [name for name in NEEDED[kind] if name not in operation]
    if missing:
        raise bad_request(f"{kind} operation of the JSON patch has no {missing[0]!r}")
    return operation


def _operated(document: Any, operation: dict[str, Any]) -> tuple[Any, int]:
    """The document after one operation, and how many bytes a copy added."""
    kind, path = operation["op"], parsed(operation["path"])
    try:
        if kind in {"move", "copy"}:
            return _transferred(document, kind, parsed(operation["from"]), path)
        return _edited(document, kind, path, operation.get("value")), 0
    except _MissingError as missing:
        why = f'{kind} operation does not apply: doc is missing path: "{operation["path"]}": {missing}'
        raise _rejected(why) from None


def _edited(document: Any, kind: str, path: Pointer, value: Any) -> Any:
    if kind == "add":
        return added(document, path, value)
    if kind == "remove":
        return removed(document, path)
    parent = at(document, path[:-1])
    if kind == "replace":
        # As in Kubernetes, a field of a map need not be there to be replaced.
        return added(document, path, value) if isinstance(parent, dict) else replaced(document, path, value)
    is_null = value is None and isinstance(parent, dict) and path[-1] not in parent
    if not is_null and not same_value(at(document, path), value):
        raise _rejected(f"testing value /{'/'.join(path)} failed: test failed")
    return document


def _transferred(document: Any, kind: str, source: Pointer, path: Pointer) -> tuple[Any, int]:
    value = at(document, source)
    if kind == "copy":
        return added(document, path, value), bounds.measure(value, "the value copied by the JSON patch")
    if path[: len(source)] == source and path != source:
        raise _rejected("move operation does not apply: a value cannot be moved into itself")
    return (document if path == source else added(removed(document, source), path, value)), 0


def parsed(pointer: Any) -> Pointer:
    """The names of a JSON pointer, unescaped."""
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise bad_request(f'JSON pointer {pointer!r} must be "" or start with "/"')
    names = pointer.split("/")[1:]
    if len(names) > bounds.MAX_DEPTH:
        raise bad_request(f"a JSON pointer has at most {bounds.MAX_DEPTH} names, found {len(names)}")
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in names)


def at(document: Any, path: Pointer) -> Any:
    for name in path:
        document = document[_place(document, name)]
    return document


def _place(parent: Any, name: str) -> Any:
    """Where a name leads in a map or list: a key or an index that exists."""
    if isinstance(parent, dict) and name in parent:
        return name
    if isinstance(parent, list) and (index := _index(name)) < len(parent):
        return index
    raise _MissingError("missing value")


def _index(name: str) -> int:
    if not (name.isascii() and name.isdigit()) or len(name) > 9 or (name[0] == "0" and name != "0"):
        raise _MissingError(f"invalid index {name[:40]!r}")
    return int(name)


def replaced(document: Any, path: Pointer, value: Any) -> Any:
    """The document with another value at a place that exists."""
    if not path:
        return value
    place = _place(document, path[0])
    return _with(document, place, replaced(document[place], path[1:], value))


def _with(parent: Any, place: Any, value: Any) -> Any:
    whole = parent.copy()
    whole[place] = value
    return whole


def added(document: Any, path: Pointer, value: Any) -> Any:
    if not path:
        return value
    parent = at(document, path[:-1])
    return replaced(document, path[:-1], _added_to(parent, path[-1], value))


def _added_to(parent: Any, name: str, value: Any) -> Any:
    if isinstance(parent, dict):
        return {**parent, name: value}
    if not isinstance(parent, list):
        raise _MissingError("missing value")
    index = len(parent) if name == "-" else _index(name)
    if index > len(parent):
        raise _MissingError(f"invalid index {name!r}: the list has {len(parent)} items")
    return [*parent[:index], value, *parent[index:]]


def removed(document: Any, path: Pointer) -> Any:
    if not path:
        raise _MissingError("the whole object cannot be removed")
    parent = at(document, path[:-1])
    rest = parent.copy() if isinstance(parent, dict | list) else parent
    del rest[_place(parent, path[-1])]
    return replaced(document, path[:-1], rest)
