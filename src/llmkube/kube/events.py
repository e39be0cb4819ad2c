"""Tells people what happened to an object, as events.k8s.io/v1 Events: repeats are counted, floods are cut off.

Recording never waits and never fails what it tells about: a full queue drops, a refused write is logged.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

import structlog

from llmkube.kube.errors import AlreadyExists, ApiError, KubeError, NotFound
from llmkube.kube.kinds import EVENT, Key
from llmkube.kube.transport import MERGE_PATCH

if TYPE_CHECKING:
    from datetime import datetime

    from llmkube.kube import objects
    from llmkube.kube.client import Client, Manifest

log = structlog.get_logger(__name__)

QUEUE = 1000
BURST, REFILL = 25, 300.0
SIMILAR, SIMILAR_WITHIN = 10, 600.0
REMEMBERED = 4096
NOTE_LIMIT = 1024
"""Bytes of UTF-8: Go's len(), NoteLengthLimit of Kubernetes' pkg/apis/core/validation/events.go."""
NAME_LIMIT = 200
"""Characters of the object's name in the event's; 17 more make it one, of the 253 that a name may have."""

K = TypeVar("K")
V = TypeVar("V")
EventType = Literal["Normal", "Warning"]


class Clock(Protocol):
    """The part of a clock that is needed here."""

    def monotonic(self) -> float: ...
    def now(self) -> datetime: ...


class Series(NamedTuple):
    """What makes two events the same thing happening again."""

    uid: str
    type: str
    reason: str
    action: str
    note: str


@dataclass
class Budget:
    """A bucket of 25 events for one object, refilled by one every five minutes."""

    tokens: float
    since: float

    def take(self, now: float) -> bool:
        self.tokens = min(float(BURST), self.tokens + (now - self.since) / REFILL)
        self.since = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Similar:
    """Events that differ in nothing but their notes: after ten within ten minutes of each other, the rest are one."""

    last: float
    notes: set[str] = field(default_factory=set)
    combined: str = ""

    def note_of(self, note: str, now: float) -> str:
        """Return the note to tell: its own, or that of the event into which the rest are combined."""
        if now - self.last > SIMILAR_WITHIN:
            self.notes, self.combined = set(), ""
        self.last = now
        if len(self.notes) < SIMILAR:
            self.notes.add(note)
        if note in self.notes:
            return note
        self.combined = self.combined or cut(f"(combined from similar events): {note}")
        return self.combined


class EventRecorder:
    """Events of one controller; `run` sends them."""

    def __init__(self, client: Client, *, controller: str, instance: str, clock: Clock) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance
        self._clock = clock
        self._queue: asyncio.Queue[tuple[str, Manifest, int]] = asyncio.Queue(QUEUE)
        self._counts: OrderedDict[Series, tuple[str, int]] = OrderedDict()
        self._similar: OrderedDict[tuple[str, EventType, str, str], Similar] = OrderedDict()
        self._budgets: OrderedDict[str, Budget] = OrderedDict()
        self.dropped = 0

    def event(self, regarding: objects.Object, *, type: EventType, reason: str, note: str, action: str) -> None:  # noqa: A002 - the field's name
        """Note that something happened to an object; the same thing again only counts up."""
        about = (regarding.metadata.uid, type, reason, action)
        similar = _recent(self._similar, about, Similar(self._clock.monotonic()))
        series = Series(*about, similar.note_of(cut(note), self._clock.monotonic()))
        budget = _recent(self._budgets, series.uid, Budget(BURST, self._clock.monotonic()))
        name, count = _recent(self._counts, series, (self._name(regarding, series), 0))
        self._counts[series] = (name, count + 1)
        if not budget.take(self._clock.monotonic()):
            self.dropped += 1
            return
        try:
            self._queue.put_nowait((name, self._manifest(regarding, series, name), count + 1))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            name, manifest, count = await self._queue.get()
            try:
                await self._send(name, manifest, count)
            except KubeError as error:
                log.warning("event was not recorded", event_name=name, error=str(error))

    async def _send(self, name: str, manifest: Manifest, count: int) -> None:
        key = Key(manifest["metadata"]["namespace"], name)
        if count > 1:
            body = {"series": {"count": count, "lastObservedTime": manifest["eventTime"]}}
            try:
                await self._client.patch(EVENT, key, body, content_type=MERGE_PATCH)
            except NotFound:
                pass  # it has expired: it is told anew
            else:
                return
        try:
            await self._client.create(EVENT, manifest)
        except AlreadyExists:
            log.debug("event is already recorded", event_name=name)
        except ApiError as error:
            if error.status != 403:
                raise
            log.debug("event refused", event_name=name, error=str(error))  # the namespace is being deleted

    def _name(self, regarding: objects.Object, series: Series) -> str:
        seed = f"{series}{self._clock.now().isoformat()}"
        about = regarding.metadata.name[:NAME_LIMIT].rstrip("-.")  # no part of a name ends in either
        return f"{about}.{hashlib.sha256(seed.encode()).hexdigest()[:16]}"

    def _manifest(self, regarding: objects.Object, series: Series, name: str) -> Manifest:
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": name, "namespace": regarding.metadata.namespace or "default"},
            "eventTime": self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": series.action,
            "reason": series.reason,
            "type": series.type,
            "note": series.note,
            "regarding": {
                "apiVersion": regarding.api_version,
                "kind": regarding.kind,
                "namespace": regarding.metadata.namespace,
                "name": regarding.metadata.name,
                "uid": regarding.metadata.uid,
                "resourceVersion": regarding.metadata.resource_version,
            },
        }


def cut(note: str) -> str:
    """Return the beginning of a note, in whole characters, that is no longer than the API server takes.

    Half of a surrogate pair, which a text from outside may hold, is no character: it becomes a question mark.
    """
    return note.encode(errors="replace")[:NOTE_LIMIT].decode(errors="ignore")


def _recent(known: OrderedDict[K, V], key: K, new: V) -> V:
    """What is known of a key, or the new value; the key that was used longest ago is forgotten."""
    value = known.setdefault(key, new)
    known.move_to_end(key)
    if len(known) > REMEMBERED:
        known.popitem(last=False)
    return value
