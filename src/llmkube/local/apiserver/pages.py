"""Lists, in pages: every page of one list shows the state of the same resourceVersion, as Kubernetes' do.

An older state is the present one with the changes since undone. Pure over storage; a token is hostile input.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.local.apiserver import errors
from llmkube.local.apiserver.registry import select
from llmkube.local.objects import Object, bad_request, key_of

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.apiserver.storage import Storage
    from llmkube.local.objects import Key


@dataclass(frozen=True)
class Query:
    """What a list or a watch asks for. `limit` 0 is no limit."""

    namespace: str | None = None
    labels: str = ""
    fields: str = ""
    limit: int = 0
    token: str = ""
    exactly: int = 0


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


def page(storage: Storage, resource: Resource, query: Query) -> Page:
    """One page; 410 when the state that its token is about is forgotten."""
    revision, after = _place(storage, query)
    state = at(storage, resource.stored_as, revision).items()
    matching = select(resource, (one for _, one in state), query.namespace, query.labels, query.fields)
    items = sorted(matching, key=key_of)
    if after is not None:
        items = [one for one in items if tuple(key_of(one)) > after]
    if not query.limit or len(items) <= query.limit:
        return Page(items, revision)
    shown = items[: query.limit]
    remaining = None if query.labels or query.fields else len(items) - query.limit
    return Page(shown, revision, _token(revision, key_of(shown[-1])), remaining)


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


def _place(storage: Storage, query: Query) -> tuple[int, tuple[str, str] | None]:
    if not query.token:
        return _exactly(storage, query.exactly), None
    try:
        revision, namespace, name = json.loads(base64.urlsafe_b64decode(query.token.encode()))
        place = int(revision), (str(namespace), str(name))
    except (ValueError, TypeError, binascii.Error):
        raise bad_request("continue key is not valid: expected the token of the page before") from None
    if place[0] < storage.oldest:
        raise errors.StatusError(410, "Expired", "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.")  # fmt: skip # noqa: E501
    return place


def _exactly(storage: Storage, revision: int) -> int:
    if not revision:
        return storage.revision
    if revision < storage.oldest:
        raise errors.gone(storage.oldest, revision)
    return revision


def _token(revision: int, key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps([revision, *key]).encode()).decode()
