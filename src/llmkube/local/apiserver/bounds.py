"""How deep and how large a value from outside may be, so that no walk of it runs out of stack or of memory.

It walks without recursion and never changes what it measures.
"""

from __future__ import annotations

from typing import Any

from llmkube.local.objects import bad_request

MAX_DEPTH = 100


def checked(value: Any, what: str) -> Any:
    """The value itself; StatusError 400 when maps and lists nest in it more than MAX_DEPTH levels deep."""
    measure(value, what)
    return value


def measure(value: Any, what: str) -> int:
    """About how many bytes the value is as JSON; StatusError 400 when it is nested too deep."""
    size, level, depth = 0, [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise bad_request(f"{what} nests more than {MAX_DEPTH} levels deep: make it flatter")
        size += sum(_own_size(one) for one in level)
        level = [below for one in level for below in _below(one)]
        depth += 1
    return size


def _below(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _own_size(value: Any) -> int:
    if isinstance(value, dict):
        return 2 + sum(len(name) + 4 for name in value)
    return len(value) + 2 if isinstance(value, str | list) else 8
