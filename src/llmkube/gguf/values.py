"""The metadata of a header: typed values by key. Long arrays are counted, not kept. Pure."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from llmkube.gguf.cursor import bounded
from llmkube.gguf.errors import GGUFError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.gguf.cursor import Cursor

MOST_ITEMS = 16 * 1024 * 1024
MOST_KEPT = 1024
MOST_NESTING = 3
LONGEST_KEY = 65_535
SHORTEST_PAIR = 8 + 4 + 1
TOKENS = "tokenizer.ggml.tokens"
FIRST_COMPARED = 5
"""The token from which on llama.cpp compares two vocabularies: those before differ within a family."""
STRING: Final = 8
ARRAY: Final = 9
# The numbers of GGUF's value types: the format itself, so they stand here rather than in a slow import.
_SCALARS = ("UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32", "FLOAT32", "BOOL")
NAMES: Mapping[int, str] = dict(enumerate((*_SCALARS, "STRING", "ARRAY", "UINT64", "INT64", "FLOAT64")))
_LETTERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_SIZES = {kind: struct.calcsize(f"<{letter}") for kind, letter in _LETTERS.items()}


@dataclass(frozen=True, slots=True)
class ArrayStub:
    """An array too long to keep: its length is all that a plan needs (a tokenizer's tokens).

    `digest` is the SHA-256 of a vocabulary's tokens, from FIRST_COMPARED on, as they are in the file.
    """

    length: int
    item_type: str
    digest: str = field(default="", compare=False)


def metadata(cursor: Cursor, count: int) -> dict[str, Any]:
    """Return so many keys and their values: int, float, bool, str, list, or ArrayStub."""
    found: dict[str, Any] = {}
    behind = cursor.to_come
    for left in range(count - 1, -1, -1):
        cursor.to_come = behind + left * SHORTEST_PAIR
        key = cursor.string("a metadata key", LONGEST_KEY)
        if key in found:
            raise GGUFError("Malformed", f"GGUF metadata {_shown(key)}: expected the key once, found it twice")
        found[key] = _value(cursor, key, _kind(cursor, key))
    return found


def _value(cursor: Cursor, key: str, kind: int, depth: int = 0) -> Any:
    if kind == STRING:
        return cursor.string(f"metadata {_shown(key)}")
    if kind == ARRAY:
        return _array(cursor, key, depth + 1)
    return struct.unpack_from(f"<{_LETTERS[kind]}", cursor.data, cursor.take(_SIZES[kind]))[0]


def _array(cursor: Cursor, key: str, depth: int) -> Any:
    if depth > MOST_NESTING:
        raise GGUFError("TooLarge", f"GGUF metadata {_shown(key)}: expected arrays {MOST_NESTING} deep at most")
    kind = _kind(cursor, key)
    count = bounded(cursor.u64(), MOST_ITEMS, f"items of {_shown(key)}")
    if count > MOST_KEPT:
        return _skipped(cursor, key, kind, count)
    cursor.keep(count + 1)
    if kind in _SIZES:
        start = cursor.take(count * _SIZES[kind])
        return list(struct.unpack_from(f"<{count}{_LETTERS[kind]}", cursor.data, start))
    return [_value(cursor, key, kind, depth) for _ in range(count)]


def _skipped(cursor: Cursor, key: str, kind: int, count: int) -> ArrayStub:
    if kind == ARRAY:
        raise GGUFError("TooLarge", f"GGUF metadata {_shown(key)}: expected at most {MOST_KEPT} nested arrays")
    if kind != STRING:
        cursor.take(count * _SIZES[kind])
        return ArrayStub(count, NAMES[kind])
    start = cursor.at
    cursor.skip_strings(count, f"metadata {_shown(key)}")
    return ArrayStub(count, NAMES[kind], _digest(cursor.data, start, cursor.at) if key == TOKENS else "")


def _digest(data: bytes | bytearray, start: int, end: int) -> str:
    for _ in range(FIRST_COMPARED):
        start += 8 + int(struct.unpack_from("<Q", data, start)[0])
    with memoryview(data) as view, view[start:end] as compared:
        return hashlib.sha256(compared).hexdigest()


def _kind(cursor: Cursor, key: str) -> int:
    found = cursor.u32()
    if found not in NAMES:
        raise GGUFError("Malformed", f"GGUF metadata {_shown(key)}: expected a value type (0 to 12), found {found}")
    return found


def _shown(key: str) -> str:
    return repr(key[:100])
