"""What a place in an object was before: a field by its name, an item of a map list by its keys. Pure.

What did not change is not held to a schema that has become stricter since (KEP-4008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmkube.local.apiserver.fieldsets import same_value

if TYPE_CHECKING:
    from llmkube.local.objects import Object

NOTHING: Final = object()


def field_of(old: Any, name: str) -> Any:
    return old.get(name, NOTHING) if isinstance(old, dict) else NOTHING


def item_of(old: Any, schema: Object, item: Any) -> Any:
    """The item of the same keys; items of other lists are not told apart."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(old, list) or not isinstance(item, dict):
        return NOTHING
    wanted = [item.get(key) for key in keys]
    return next((one for one in old if isinstance(one, dict) and [one.get(key) for key in keys] == wanted), NOTHING)


def is_kept(value: Any, old: Any) -> bool:
    return old is not NOTHING and same_value(value, old)
