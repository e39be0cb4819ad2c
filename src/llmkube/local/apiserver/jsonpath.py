"""The JSONPath of printer columns: .a.b, ['c'], [0], [?(@.type=="Ready")]. Pure; an unknown path finds nothing."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_][\w-]*)"""
    r"""|\[\s*['"](?P<quoted>[^'"]+)['"]\s*\]"""
    r"""|\[(?P<index>\d{1,6})\]|\[(?P<all>\*)\]"""
    r"""|\[\?\(\s*@\.(?P<key>[\w.-]+)\s*==\s*['"](?P<value>[^'"]*)['"]\s*\)\]"""
)
Step = Callable[[Any], list[Any]]


def first(obj: Any, path: str) -> Any:
    """The first value at a path, None when there is none."""
    values = [obj]
    for step in steps(path):
        values = [found for value in values for found in step(value)]
    return values[0] if values else None


@functools.lru_cache(maxsize=1024)
def steps(path: str) -> tuple[Step, ...]:
    found: list[Step] = []
    at = 0
    while at < len(path):
        match = STEP.match(path, at)
        if match is None:
            return (lambda _: [],)
        found.append(_step(match))
        at = match.end()
    return tuple(found)


def _step(match: re.Match[str]) -> Step:
    if name := match["name"] or match["quoted"]:
        return lambda value: [value[name]] if isinstance(value, dict) and name in value else []
    if match["index"]:
        index = int(match["index"])
        return lambda value: [value[index]] if isinstance(value, list) and index < len(value) else []
    if match["all"]:
        return lambda value: list(value) if isinstance(value, list) else []
    key, wanted = match["key"], match["value"]
    return lambda value: _matching(value, key, wanted)


def _matching(value: Any, key: str, wanted: str) -> list[Any]:
    items = value if isinstance(value, list) else []
    return [one for one in items if isinstance(one, dict) and str(one.get(key, "")) == wanted]
