"""Lists, in pages: every page of one list shows the state of the same resourceVersion, as Kubernetes' do.

An older state is the present one with the changes since undone. Pure over storage; a token is hostile input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.local.apiserver import errors, tokens
from llmkube.local.apiserver.registry import select
from llmkube.local.objects import Object, key_of

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.apiserver.storage import Storage
    from llmkube.local.objects import Key


@dataclass(frozen=True)
class Query:
    """What a list or a watch asks for. `limit` 0 is no limit; `exactly` wants the state of `revision` and no newer."""

    namespace: str | None = None
    labels: str = ""
    fields: str = ""
    limit: int = 0
    token: str = ""
    revision: int = 0
    exactly: bool = False


@dataclass(frozen=True)
class Page:
    """`token` is "" on the last page; `remaining` is told only for lists without selectors."""

    items: list[Object]
    revision: int
    token: str = ""
    remaining: int | None = None

    def meta(self) -> Object:
        more = {"continue": self.token} if self.token else {}
        left = {"remainingItemCount": self.remaining} if self.remaining else {}
        return {"resourceVersion": str(self.revision), **more, **left}


def place_of(obj: Object) -> str:
    """Objects are listed in the order of their paths."""
    return str(key_of(obj))


def page(storage: Storage, resource: Resource, query: Query) -> Page:
    """One page; 410 when the state that it is to show is forgotten."""
    revision, start = _place(storage, query)
    state = at(storage, resource.stored_as, revision).items()
    matching = select(resource, (one for _, one in state), query.namespace, query.labels, query.fields)
    items = sorted(matching, key=place_of)
    if start:
        items = [one for one in items if place_of(one) >= start]
    if not query.limit or len(items) <= query.limit:
        return Page(items, revision)
    shown = items[: query.limit]
    remaining = None if query.labels or query.fields else len(items) - query.limit
    return Page(shown, revision, tokens.after(_under(place_of(shown[-1]), query), revision), remaining)


def _under(path: str, query: Query) -> str:
    return path.removeprefix(f"{query.namespace}/") if query.namespace else path


def at(storage: Storage, resource: str, revision: int) -> dict[Key, Object]:
    """The objects of a resource as they were at a revision."""
    state = storage.all(resource)
    if revision >= storage.revision:
        return state
    state = dict(state)
    for event in reversed(storage.since(revision)):
        if event.resource != resource:
            continue
        if event.old is None:
            state.pop(key_of(event.object), None)
        else:
            state[key_of(event.object)] = event.old
    return state


def _place(storage: Storage, query: Query) -> tuple[int, str]:
    """The revision whose state is shown, and the path where it begins."""
    if not query.token:
        return _revision(storage, query), ""
    asked = tokens.decoded(query.token)
    start = f"{query.namespace}/{asked.start}" if query.namespace else asked.start
    if asked.revision < 0:
        return storage.revision, start
    if asked.revision < storage.oldest:
        raise errors.PageExpiredError(tokens.encoded(asked._replace(revision=tokens.LATEST)))
    if asked.revision > storage.revision:
        raise errors.too_large(asked.revision, storage.revision)
    return asked.revision, start


def _revision(storage: Storage, query: Query) -> int:
    if query.revision > storage.revision:
        raise errors.too_large(query.revision, storage.revision)
    if not query.exactly:
        return storage.revision
    if query.revision < storage.oldest:
        raise errors.StatusError(410, "Expired", "The resourceVersion for the provided list is too old.")
    return query.revision
