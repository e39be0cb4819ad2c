"""Whether what is there already says all that is wanted. Pure, over plain JSON values.

    covers(live, desired)   every field of `desired` stands in `live` with an equal value; what else is there is others'
    difference(...)         the path of the first that does not
    same(live, desired)     they are equal but for empty values

Equal is as the API server sees it: quantities by value, and the items of the lists that server-side apply merges by
their keys (KEP-555), wherever they stand. What is wanted and is not there is a difference, unless the API server leaves
it out: an empty text or list anywhere, a zero, false or empty map only where the field's Go type has no pointer (ZEROS,
MAPS). A pointer that is not set means something else than false or 0, and often less secure: without
automountServiceAccountToken a token is mounted.

What is applied as a whole (WHOLE) has no room for others' fields. No default is set within it either, and there an
empty selector, which selects all, is another than none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmkube.api import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIST_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
PORT_KEYS = {"spec": ("port", "protocol"), "containers": ("containerPort", "protocol")}
QUANTITIES = frozenset({"limits", "requests", "capacity", "hard", "sizeLimit", "divisor"})
SETS = frozenset({"finalizers"})
SELECTORS = frozenset({"selector", "podSelector", "namespaceSelector", "labelSelector", "nodeSelector"})
WHOLE = SELECTORS | {"from", "to", "tolerations", "nodeSelectorTerms", "secretKeyRef", "configMapKeyRef"}
"""Maps and lists that are atomic (k8s.io/api: structType, mapType, listType) and in which nothing has a default."""
ZEROS = frozenset(
    {
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "hostPort",
        "initialDelaySeconds",
        "minReadySeconds",
        "paused",
        "publishNotReadyAddresses",
        "readOnly",
        "stdin",
        "stdinOnce",
        "tty",
    }
)
"""Fields that are left out when false or 0: `omitempty` without a pointer, and no default, in the Go structs of
k8s.io/api v0.37.2 that what we apply is made of (core, apps, batch, networking.k8s.io, policy)."""
MAPS = frozenset({"labels", "annotations", "matchLabels", "nodeSelector", "limits", "requests"})
"""Fields that are left out when they are an empty map: Go maps. A struct stays there, as {}."""
TEXTS = frozenset({"labels", "annotations", "matchLabels", "nodeSelector", "selector"})
"""Maps of texts, in which an empty text is a value as any other."""
DEFAULTS = {"protocol": "TCP"}


def covers(live: Any, desired: Any) -> bool:
    """Whether applying `desired` over `live` would change nothing."""
    return _covers(live, desired, "", "")


def difference(live: Any, desired: Any) -> str:
    """The path of the first field that `live` does not cover, as ".spec.replicas"; "" when there is none."""
    return "" if covers(live, desired) else _difference(live, desired, "", "")


def same(live: Any, desired: Any) -> bool:
    """Whether the two say the same."""
    return bool(live == desired or without_empty(live) == without_empty(desired))


def without_empty(value: Any) -> Any:
    """Return the value without the fields that are empty, which the API server does not keep."""
    if isinstance(value, dict):
        kept = {name: without_empty(below) for name, below in value.items()}
        return {name: below for name, below in kept.items() if not is_empty(below)}
    return [without_empty(item) for item in value] if isinstance(value, list | tuple) else value


def is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list | tuple | str) and not value)


def _covers(live: Any, desired: Any, name: str, parent: str) -> bool:
    if type(live) is type(desired) and live == desired:
        return True  # most of it, and compared without a call for each field
    if parent in TEXTS:
        return False
    if name in WHOLE or live is None or (is_empty(desired) and not isinstance(desired, dict)):
        return bool(_kept({name: live}) == _kept({name: desired}))
    if isinstance(desired, dict):
        return isinstance(live, dict) and _covers_map(live, desired, name)
    if isinstance(desired, list | tuple):
        return isinstance(live, list | tuple) and _covers_list(live, desired, name, parent)
    return (parent in QUANTITIES or name in QUANTITIES) and _is_same_quantity(live, desired)


def _kept(value: Any, name: str = "") -> Any:
    """What the API server keeps of a field's value."""
    if isinstance(value, dict):
        kept = {field: _kept(below, field) for field, below in value.items()}
        return {field: below for field, below in kept.items() if name in TEXTS or not _is_left_out(below, field)}
    return [_kept(item) for item in value] if isinstance(value, list | tuple) else value


def _is_left_out(value: Any, name: str) -> bool:
    if isinstance(value, dict):
        return not value and name in MAPS
    return is_empty(value) or (not value and name in ZEROS)


def _covers_map(live: dict[str, Any], desired: dict[str, Any], name: str) -> bool:
    return all(_covers(live.get(field), value, field, name) for field, value in desired.items())


def _covers_list(live: Sequence[Any], desired: Sequence[Any], name: str, parent: str) -> bool:
    if name in SETS:
        return set(desired) <= set(live)
    if keys := _keys(live, desired, name, parent):
        found = {_key(item, keys): item for item in live}
        return all(_covers(found.get(_key(item, keys)), item, name, name) for item in desired)
    return len(live) == len(desired) and all(
        _covers(there, wanted, "", name) for there, wanted in zip(live, desired, strict=True)
    )


def _keys(live: Sequence[Any], desired: Sequence[Any], name: str, parent: str) -> tuple[str, ...]:
    """What the items of a list are merged by; nothing when they are not."""
    keys = PORT_KEYS.get(parent, ()) if name == "ports" else LIST_KEYS.get(name, ())
    return keys if keys and all(isinstance(item, dict) for item in [*live, *desired]) else ()


def _difference(live: Any, desired: Any, name: str, parent: str) -> str:
    """The path below a field that is not covered, as deep as others have room beside it."""
    steps = () if name in WHOLE else _steps(live, desired, name, parent)
    return next((step + _difference(*each) for step, *each in steps if not _covers(*each)), "")


def _steps(live: Any, desired: Any, name: str, parent: str) -> Iterator[tuple[str, Any, Any, str, str]]:
    """How the path goes on to each field or item, as in a conflict of server-side apply, and what `_covers` takes."""
    if isinstance(live, dict) and isinstance(desired, dict):
        yield from ((f".{field}", live.get(field), value, field, name) for field, value in desired.items())
    elif isinstance(live, list | tuple) and isinstance(desired, list | tuple):
        keys = _keys(live, desired, name, parent)
        found = {_key(item, keys): item for item in live} if keys else {}
        for item in desired if keys else ():
            at = ",".join(f"{key}={json.dumps(item.get(key))}" for key in keys)
            yield f"[{at}]", found.get(_key(item, keys)), item, name, name


def _key(item: dict[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key, DEFAULTS.get(key)) for key in keys)


def _is_same_quantity(live: Any, desired: Any) -> bool:
    try:
        return quantity.parse(str(live)) == quantity.parse(str(desired))
    except quantity.QuantityError:
        return bool(live == desired)
