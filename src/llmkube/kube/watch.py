"""Follows one collection for ever: the initial state by WatchList (KEP-3157) or by pages, then every change, in order.

    no version ── watch-list ──> (initial events … bookmark) ──> following
        │  refused: from now on  ▲                                │ normal end: follow on from the last version
        └──── list in pages ─────┘<──── 410, lost initial events ─┘ lost connection, 429: wait, then follow on

What it sees goes to a Sink by plain calls, but for a whole list, which may take its time. It never gives up and never
raises but for cancellation: what is wrong stands in `last_error`, which is empty while all is well.

A kind that the API server does not serve is an error, unless it is optional: then there is nothing of it, and whether
it is served by now is asked once a minute.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import structlog

from llmkube.kube import objects
from llmkube.kube.backoff import Backoff
from llmkube.kube.errors import ApiError, Gone, KubeError, NotFound, TooManyRequests, TransportError, of_status
from llmkube.kube.listing import list_pages
from llmkube.kube.watch_events import Added, Bookmark, Deleted, Failed, Modified, decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmkube.kube.client import Client
    from llmkube.kube.kinds import Kind

log = structlog.get_logger(__name__)
T = TypeVar("T", bound=objects.Object)
T_contra = TypeVar("T_contra", contravariant=True)

SHORTEST_WATCH, LONGEST_WATCH = 300, 600
IDLE_MARGIN = 5.0
LONGEST_PAUSE = 300.0
"""How long a server may ask to be left alone (Retry-After)."""
ABSENT_PAUSE = 60.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
LOST_INITIALS_BEFORE_LIST = 2
WATCH = {"watch": "1", "allowWatchBookmarks": "true"}


class Sink(Protocol[T_contra]):
    """Takes what the watcher sees: events at once, and a list before anything that follows it."""

    async def replaced(self, listed: Sequence[T_contra], version: str) -> None: ...
    def changed(self, obj: T_contra) -> None: ...
    def deleted(self, obj: T_contra) -> None: ...
    def progressed(self, version: str) -> None: ...


class Watcher(Generic[T]):
    """One collection: a kind, in one namespace or all, with a label selector or none."""

    def __init__(
        self,
        client: Client,
        kind: Kind[T],
        sink: Sink[T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        optional: bool = False,
    ) -> None:
        self._client = client
        self._kind = kind
        self._sink = sink
        self._path = kind.path(namespace)
        self._selector = {"labelSelector": label_selector} if label_selector else {}
        self._version = ""
        self._initial: dict[str, T] | None = None
        self._whole: list[T] | None = None
        self._watch_list = True
        self._lost_initials = 0
        self._backoff = Backoff(random.random, _now)
        self._optional = optional
        self.is_absent = False
        self.last_error = ""

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._step()
            except Gone as error:
                self._version, self.last_error = "", str(error)
                log.debug("watch expired; listing again", path=self._path)
                await asyncio.sleep(self._backoff.next())  # a server that always says so must not be listed in a loop
            except NotFound as error:
                await (self._absent() if self._optional else self._failed(error))
            except KubeError as error:
                await self._failed(error)

    async def _step(self) -> None:
        if self._version:
            await self._follow({"resourceVersion": self._version})
        elif self._watch_list:
            await self._begin_by_watch()
        else:
            listed, self._version = await list_pages(
                self._client.transport, self._path, self._selector, self._kind.type
            )
            await self._sink.replaced(listed, self._version)
            self._answered()

    async def _begin_by_watch(self) -> None:
        """Initial events that end without their bookmark are worth nothing; when that repeats, pages are asked for.

        A server that is not there, too busy, or behind (410, 504) says nothing against watch-lists.
        """
        try:
            await self._follow({"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}, initial={})
        except ApiError as error:
            is_absent = self._optional and isinstance(error, NotFound)
            if self._version or is_absent or isinstance(error, Gone | TooManyRequests):
                self._initial = None
                raise
            log.info("the API server refused a watch-list; listing by pages", path=self._path, error=str(error))
            self._watch_list = False
        finally:
            if self._initial is not None:
                self._initial = None
                self._lost_initials += 1
                self._watch_list = self._watch_list and self._lost_initials < LOST_INITIALS_BEFORE_LIST

    async def _follow(self, params: Mapping[str, str], *, initial: dict[str, T] | None = None) -> None:
        """One watch request, to its end."""
        seconds = random.randint(SHORTEST_WATCH, LONGEST_WATCH)  # noqa: S311 - jitter
        params = {**self._selector, **params, **WATCH, "timeoutSeconds": str(seconds)}
        started, seen = _now(), 0
        async with self._client.transport.stream(
            self._path, params=params, idle_timeout=seconds + IDLE_MARGIN
        ) as lines:
            self._initial = initial
            async for line in lines:
                seen += 1
                self._take(line)
                if self._whole is not None:
                    whole, self._whole = self._whole, None
                    await self._sink.replaced(whole, self._version)
        if not seen and _now() - started < 1.0:
            raise TransportError(f"watch of {self._path} ended at once, without an event")

    def _take(self, content: bytes) -> None:
        event = decode(content, self._kind)
        match event:
            case Added() | Modified():
                self._changed(event.object)
            case Deleted():
                self._deleted(event.object)
            case Bookmark():
                self._bookmark(event.object.metadata)
            case Failed(status):
                raise of_status(status.code, status.reason, status.message, status.details)
        self._answered()

    def _answered(self) -> None:
        self.last_error = ""
        self.is_absent = False

    def _changed(self, obj: T) -> None:
        if self._initial is None:
            self._version = obj.metadata.resource_version
            self._sink.changed(obj)
        else:
            self._initial[_name(obj)] = obj

    def _deleted(self, obj: T) -> None:
        if self._initial is None:
            self._version = obj.metadata.resource_version
            self._sink.deleted(obj)
        else:
            self._initial.pop(_name(obj), None)

    def _bookmark(self, metadata: objects.ObjectMeta) -> None:
        """Initial events come in no order of versions: none counts before the bookmark that ends them."""
        if self._initial is None:
            self._version = metadata.resource_version
            self._sink.progressed(self._version)
        elif metadata.annotations.get(INITIAL_EVENTS_END) == "true":
            self._version = metadata.resource_version
            self._whole, self._initial = list(self._initial.values()), None
            self._lost_initials = 0

    async def _absent(self) -> None:
        """A CustomResourceDefinition that is not there, or not any more: what there was of it went with it, once."""
        was_absent, self.is_absent = self.is_absent, True
        self._version, self.last_error = "", ""
        if not was_absent:
            log.info("the API server does not serve this kind; it is optional", path=self._path)
            await self._sink.replaced([], "")
        await asyncio.sleep(ABSENT_PAUSE)

    async def _failed(self, error: KubeError) -> None:
        """Wait after a failure; a connection that was merely lost is not worth a line in the log each time."""
        if self.last_error != str(error):
            log.warning("watch failed; trying again", path=self._path, error=str(error))
        self.last_error = str(error)
        told = (error.retry_after or 0.0) if isinstance(error, ApiError) else 0.0
        await asyncio.sleep(max(self._backoff.next(), min(told, LONGEST_PAUSE)))


def _now() -> float:
    """The loop's own time, so that a simulated loop simulates this too."""
    return asyncio.get_running_loop().time()


def _name(obj: objects.Object) -> str:
    return f"{obj.metadata.namespace}/{obj.metadata.name}"
