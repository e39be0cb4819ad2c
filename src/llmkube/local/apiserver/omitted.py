"""What kube-apiserver leaves out of the spec of a built-in object: null, and what Go's `omitempty` takes for nothing.

Pure. It matters: engines of NetworkPolicies are made for a server that never says `egress: []`, and some of them take
that for no bound at all. A struct that says nothing stays, as {}; so does an empty text, which may be a pointer's.
"""

from __future__ import annotations

from typing import Any

MAPS = frozenset({"labels", "annotations", "matchLabels", "nodeSelector", "limits", "requests"})
"""Go maps, of which one without an entry is none. (So is a Service's selector; others' are structs.)"""


def without_omitted(value: Any) -> Any:
    """Return the value as it comes back from a server that decoded and encoded it."""
    if isinstance(value, list):
        return [without_omitted(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: without_omitted(below) for name, below in value.items()}
    return {name: below for name, below in kept.items() if not _is_omitted(name, below)}


def _is_omitted(name: str, value: Any) -> bool:
    return value is None or value == [] or (value == {} and name in MAPS)
