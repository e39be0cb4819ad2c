"""Watches: what one client is told of what changes, from a resourceVersion on.

A client that does not read is cut off at a bounded backlog (410: it lists again); it never holds a writer up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.local.apiserver import errors, views
from llmkube.local.apiserver.errors import StatusError, status_object
from llmkube.local.apiserver.fieldselectors import field_predicate
from llmkube.local.apiserver.registry import select
from llmkube.local.apiserver.selectors import label_predicate
from llmkube.local.objects import Object, key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from llmkube.local.apiserver.pages import Query
    from llmkube.local.apiserver.registry import Registry
    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.apiserver.storage import WatchEvent

    _Told = Callable[[WatchEvent], Object | None]

BACKLOG = 2000
BOOKMARK_SECONDS = 30.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True)
class Start:
    """Where a watch begins: after `revision`; None sends what there is first (and then a bookmark, when asked)."""

    revision: int | None = None
    bookmarks: bool = False
    ends_initial: bool = False


class _Backlog:
    """The changes a client has not read yet."""

    def __init__(self) -> None:
        self.events: deque[WatchEvent] = deque()
        self.overflowed = False
        self._arrived = asyncio.Event()

    def add(self, event: WatchEvent) -> None:
        if len(self.events) >= BACKLOG:
            self.overflowed = True
        else:
            self.events.append(event)
        self._arrived.set()

    async def wait(self, seconds: float) -> None:
        """Until something arrived, at most this long."""
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return
        self._arrived.clear()


def start_of(registry: Registry, start: Start) -> int:
    """The revision a watch continues from; 410 when what followed it is forgotten."""
    storage = registry.storage
    if start.revision is None:
        return storage.revision
    if start.revision < storage.oldest:
        raise errors.gone(storage.oldest, start.revision)
    if start.revision > storage.revision:
        message = f"Too large resource version: {start.revision}, current: {storage.revision}"
        raise StatusError(504, "Timeout", message, {"retryAfterSeconds": 1})
    return start.revision


def watch(registry: Registry, resource: Resource, query: Query, start: Start) -> AsyncIterator[Object]:
    """Watch events as JSON objects, without end; the last one is an ERROR when the client fell behind.

    What is wrong with the question is raised here, not by the first event.
    """
    start_of(registry, start)
    return _events(registry, resource, query, start, _told(resource, query))


async def _events(
    registry: Registry, resource: Resource, query: Query, start: Start, told: _Told
) -> AsyncIterator[Object]:
    backlog = _Backlog()
    revision = start_of(registry, start)
    unsubscribe = registry.subscribe(backlog.add)
    try:
        for event in _first(registry, resource, query, start, revision, told):
            yield event
        async for change in _live(registry, backlog, told, start):
            yield change or _bookmark(resource, registry.storage.revision)
    finally:
        unsubscribe()


def _first(
    registry: Registry, resource: Resource, query: Query, start: Start, revision: int, told: _Told
) -> list[Object]:
    if start.revision is not None:
        return [shown for one in registry.storage.since(revision) if (shown := told(one))]
    present = registry.storage.all(resource.stored_as).values()
    found = sorted(select(resource, present, query.namespace, query.labels, query.fields), key=key_of)
    events: list[Object] = [{"type": "ADDED", "object": one} for one in found]
    return [*events, _bookmark(resource, revision, ends_initial=True)] if start.ends_initial else events


async def _live(registry: Registry, backlog: _Backlog, told: _Told, start: Start) -> AsyncIterator[Object | None]:
    """What arrives; None where a bookmark is due."""
    while True:
        while backlog.events:
            if shown := told(backlog.events.popleft()):
                yield shown
        if backlog.overflowed:
            gone = errors.gone(registry.storage.revision, registry.storage.oldest)
            yield {"type": "ERROR", "object": status_object(gone)}
            return
        await backlog.wait(BOOKMARK_SECONDS)
        if start.bookmarks and not backlog.events:
            yield None


def _told(resource: Resource, query: Query) -> _Told:
    """How a change looks through the selectors: what enters is ADDED, what leaves is DELETED."""
    labelled, fielded = label_predicate(query.labels), field_predicate(query.fields, resource)

    def matches(obj: Object | None) -> bool:
        if obj is None or (query.namespace and obj["metadata"].get("namespace") != query.namespace):
            return False
        shown = views.shown(resource, obj)
        return labelled(shown) and fielded(shown)

    def tell(event: WatchEvent) -> Object | None:
        if event.resource != resource.stored_as:
            return None
        was = event.type != "ADDED" and matches(event.old)
        is_now = event.type != "DELETED" and matches(event.object)
        if not was and not is_now:
            return None
        change = "MODIFIED" if was and is_now else "ADDED" if is_now else "DELETED"
        return {"type": change, "object": views.shown(resource, event.object)}

    return tell


def _bookmark(resource: Resource, revision: int, *, ends_initial: bool = False) -> Object:
    meta: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if ends_initial:
        meta["annotations"] = {INITIAL_EVENTS_END: "true"}
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
    return {"type": "BOOKMARK", "object": obj}
