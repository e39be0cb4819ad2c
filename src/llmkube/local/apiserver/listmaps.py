"""How a strategic merge patch treats a list: items found by their merge key, united as a set, put in an order.

Pure; linear in the lengths of the lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver.fieldsets import compact
from llmkube.local.objects import StatusError, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmkube.local.apiserver.shapes import Shape
    from llmkube.local.objects import Object

    MergeItem = Callable[[Object, Object, Shape], Object]

DIRECTIVE = "$patch"
_GONE = object()


def merged(base: list[Any], patch: list[Any], shape: Shape, merge_item: MergeItem) -> list[Any]:
    """The items of both; those with the same merge key merge. StatusError 500 for a patch item without its key."""
    key = shape.keys[0]
    if any(_directive(one) == "replace" for one in patch):
        base, patch = [], [one for one in patch if _directive(one) != "replace"]
    after, places = list(base), _places(base, key)
    for item in patch:
        found = places.setdefault(_checked_identity(item, key), [])
        if _directive(item) == "delete":
            _drop(after, found)
        elif found:
            after[found[0]] = merge_item(after[found[0]], item, shape.item())
        else:
            found.append(len(after))
            after.append(merge_item({}, item, shape.item()))
    return [one for one in after if one is not _GONE]


def _drop(items: list[Any], places: list[int]) -> None:
    for at in places:
        items[at] = _GONE
    places.clear()


def _places(items: list[Any], key: str) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for at, item in enumerate(items):
        if isinstance(item, dict):
            places.setdefault(_identity(item, key), []).append(at)
    return places


def _directive(item: Any) -> Any:
    return item.get(DIRECTIVE) if isinstance(item, dict) else None


def _identity(item: Any, key: str) -> str:
    return compact(item.get(key) if key and isinstance(item, dict) else item)


def _checked_identity(item: Any, key: str) -> str:
    if not isinstance(item, dict):
        raise bad_request(f"an item of a list that merges by {key} must be an object, found {type(item).__name__}")
    if item.get(key) is None:
        raise StatusError(500, "", f"map: {sorted(item)[:10]} does not contain declared merge key: {key}")
    return _identity(item, key)


def united(base: list[Any], patch: list[Any], gone: list[Any]) -> list[Any]:
    """The values of both without those that are gone, each once."""
    removed = {compact(one) for one in gone}
    kept = [one for one in base if compact(one) not in removed]
    return list({compact(one): one for one in [*kept, *patch]}.values())


def ordered(items: list[Any], base: list[Any], order: list[Any] | None, key: str) -> list[Any]:
    """The items that `order` names in its order; the others stay before those that they were before."""
    if order is None:
        return items
    ranks = _first_places(order, key)
    named = [one for one in items if _identity(one, key) in ranks]
    others = [one for one in items if _identity(one, key) not in ranks]
    was = _first_places(base, key)
    return _interleaved(others, sorted(named, key=lambda one: ranks[_identity(one, key)]), was, key)


def _first_places(items: list[Any], key: str) -> dict[str, int]:
    return {_identity(one, key): at for at, one in reversed(list(enumerate(items)))}


def _interleaved(others: list[Any], named: list[Any], was: dict[str, int], key: str) -> list[Any]:
    after: list[Any] = []
    taken = 0
    for one in named:
        place = was.get(_identity(one, key), -1)
        while taken < len(others) and was.get(_identity(others[taken], key), len(was)) < place:
            after.append(others[taken])
            taken += 1
        after.append(one)
    return [*after, *others[taken:]]
