"""Whether what is there already says all that is wanted. Pure, over plain JSON values.

    covers(live, desired)   every field of `desired` stands in `live` with an equal value; what else is there is others'
    same(live, desired)     they are equal but for empty values

Equal is as the API server sees it: quantities by value, an empty map, list or text like none at all, a false or zero
like none where it was left out, and the items of the lists that server-side apply merges by their keys (KEP-555),
wherever they stand. A map that is applied as a whole has no room for others' fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.api import quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

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
ATOMIC_MAPS = frozenset({"selector", "nodeSelector"})
DEFAULTS = {"protocol": "TCP"}


def covers(live: Any, desired: Any) -> bool:
    """Whether applying `desired` over `live` would change nothing."""
    return _covers(live, desired, "", "")


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
    if is_empty(desired):
        return is_empty(live) or isinstance(desired, dict)
    if name in ATOMIC_MAPS:
        return same(live, desired)
    if isinstance(desired, dict):
        return _covers_map(live, desired, name)
    if isinstance(desired, list | tuple):
        return isinstance(live, list | tuple) and _covers_list(live, desired, name, parent)
    if parent in QUANTITIES or name in QUANTITIES:
        return _is_same_quantity(live, desired)
    if live is None:
        return desired is False or desired == 0
    return type(live) is type(desired) and bool(live == desired)


def _covers_map(live: Any, desired: dict[str, Any], name: str) -> bool:
    live = live if isinstance(live, dict) else {}
    return all(_covers(live.get(field), value, field, name) for field, value in desired.items())


def _covers_list(live: Sequence[Any], desired: Sequence[Any], name: str, parent: str) -> bool:
    if name in SETS:
        return set(desired) <= set(live)
    keys = PORT_KEYS.get(parent, ()) if name == "ports" else LIST_KEYS.get(name, ())
    if keys and all(isinstance(item, dict) for item in [*live, *desired]):
        found = {_key(item, keys): item for item in live}
        return all(_covers(found.get(_key(item, keys)), item, name, name) for item in desired)
    return len(live) == len(desired) and all(
        _covers(there, wanted, "", name) for there, wanted in zip(live, desired, strict=True)
    )


def _key(item: dict[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key, DEFAULTS.get(key)) for key in keys)


def _is_same_quantity(live: Any, desired: Any) -> bool:
    try:
        return quantity.parse(str(live)) == quantity.parse(str(desired))
    except quantity.QuantityError:
        return bool(live == desired)
