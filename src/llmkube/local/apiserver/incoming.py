"""JSON from outside: what is no character becomes U+FFFD, as in Kubernetes; else it could not be sent again. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SUSPECT = re.compile(rb"\\u[dD][89a-fA-F]|[\x80-\xff]")
LONE = re.compile("[\ud800-\udfff]")


class _Map(dict[str, Any]):
    """A map of which a field was said twice: the last one counts."""

    twice: tuple[str, ...] = ()


def parsed(content: bytes, twice: list[str] | None = None) -> Any:
    """ValueError when it is no JSON, RecursionError when it nests too deep. The paths of fields that are there twice
    are added to `twice`."""
    seen: list[_Map] = []
    found = json.loads(_characters(content), object_pairs_hook=lambda pairs: _map(pairs, seen))
    if twice is not None and seen:
        twice += _paths(found, "")
    return found


def _characters(content: bytes) -> bytes | str:
    if not SUSPECT.search(content):
        return content
    text = json.dumps(json.loads(content.decode(errors="replace")), ensure_ascii=False)
    return LONE.sub("\ufffd", text) if LONE.search(text) else content.decode(errors="replace")


def _map(pairs: list[tuple[str, Any]], seen: list[_Map]) -> dict[str, Any]:
    if len(found := dict(pairs)) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    twice = _Map(found)
    twice.twice = tuple(sorted({name for name in found if names.count(name) > 1}))
    seen.append(twice)
    return twice


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value, _Map):
            yield from (f"{path}{name}" for name in value.twice)
        for name, below in value.items():
            yield from _paths(below, f"{path}{name}" if isinstance(below, list) else f"{path}{name}.")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _paths(item, f"{path}[{at}]" if isinstance(item, list) else f"{path}[{at}].")
