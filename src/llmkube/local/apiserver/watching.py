"""Watches: what one client is told of what changes, from a resourceVersion on.

A client that does not read is cut off at a bounded backlog (410: it lists again); it never holds a writer up.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.local.apiserver import errors, views
from llmkube.local.apiserver.errors import StatusError, status_object
from llmkube.local.apiserver.fieldselectors import field_predicate
from llmkube.local.apiserver.pages import place_of
from llmkube.local.apiserver.registry import select
from llmkube.local.apiserver.selectors import label_predicate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from llmkube.local.apiserver.pages import Query
    from llmkube.local.apiserver.registry import Registry
    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.apiserver.storage import WatchEvent
    from llmkube.local.objects import Object

    _Told = Callable[[WatchEvent], Object | None]

BACKLOG = 2000
BOOKMARK_SECONDS = 30.0
LAST_BOOKMARK_SECONDS = 2.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True)
class Start:
    """Where a watch begins: with what there is now, which is not older than `revision`, or with what came after it.

    `seconds`: for how long it is read.
    """

    revision: int = 0
    initial: bool = True
    bookmarks: bool = False
    ends_initial: bool = False
    seconds: float = math.inf


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


def watch(registry: Registry, resource: Resource, query: Query, start: Start) -> AsyncIterator[Object]:
    """Watch events as JSON objects, without end; the last one is an ERROR when it cannot go on.

    A selector that is wrong is refused here, not by the first event.
    """
    return _events(registry, resource, query, start, _told(resource, query))


async def _events(
    registry: Registry, resource: Resource, query: Query, start: Start, told: _Told
) -> AsyncIterator[Object]:
    backlog = _Backlog()
    unsubscribe = registry.subscribe(backlog.add)
    try:
        for event in _first(registry, resource, query, start, told):
            yield event
        async for change in _live(registry, backlog, told, start):
            yield change or _bookmark(resource, registry.storage.revision)
    except StatusError as error:
        yield {"type": "ERROR", "object": status_object(error)}
    finally:
        unsubscribe()


def _first(registry: Registry, resource: Resource, query: Query, start: Start, told: _Told) -> list[Object]:
    storage = registry.storage
    if not start.initial:
        if start.revision and start.revision < storage.oldest:
            raise errors.gone(storage.oldest, start.revision)
        return [shown for one in storage.since(start.revision or storage.revision) if (shown := told(one))]
    if start.revision > storage.revision:
        raise errors.too_large(start.revision, storage.revision)
    present = storage.all(resource.stored_as).values()
    found = sorted(select(resource, present, query.namespace, query.labels, query.fields), key=place_of)
    events: list[Object] = [{"type": "ADDED", "object": one} for one in found]
    return [*events, _bookmark(resource, storage.revision, ends_initial=True)] if start.ends_initial else events


async def _live(registry: Registry, backlog: _Backlog, told: _Told, start: Start) -> AsyncIterator[Object | None]:
    """What arrives; None where a bookmark is due."""
    clock = asyncio.get_running_loop().time
    last = clock() + start.seconds - LAST_BOOKMARK_SECONDS
    due = _due(clock(), last)
    while True:
        while backlog.events:
            event = backlog.events.popleft()
            # A watch may begin in the future: what comes before is not told.
            if event.revision > start.revision and (shown := told(event)):
                yield shown
        if backlog.overflowed:
            raise errors.gone(registry.storage.revision, registry.storage.oldest)
        if clock() >= due:
            due = _due(clock(), last)
            if start.bookmarks and registry.storage.revision >= start.revision:
                yield None
        await backlog.wait(max(0.0, due - clock()))


def _due(now: float, last: float) -> float:
    """Bookmarks come now and then, and once more shortly before the watch is over."""
    return last if now < last < now + BOOKMARK_SECONDS else now + BOOKMARK_SECONDS


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
        told = _last(event) if change == "DELETED" else event.object
        return {"type": change, "object": views.shown(resource, told)}

    return tell


def _last(event: WatchEvent) -> Object:
    """What goes, or leaves a selector, is told as it was before, with the revision of its going."""
    old = event.old or event.object
    return {**old, "metadata": {**old["metadata"], "resourceVersion": str(event.revision)}}


def _bookmark(resource: Resource, revision: int, *, ends_initial: bool = False) -> Object:
    meta: Object = {"resourceVersion": str(revision)}
    if ends_initial:
        meta["annotations"] = {INITIAL_EVENTS_END: "true"}
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
    return {"type": "BOOKMARK", "object": obj}
