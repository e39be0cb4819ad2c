"""Events go an hour after they last happened, as in Kubernetes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from llmkube.local.objects import Change, Key, Object, key_of, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.local.controllers.cluster import Cluster

LIFETIME = timedelta(hours=1)


class EventExpiry:
    name = "event-expiry"
    watched = ("events",)

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def keys(self, change: Change) -> Iterable[Key]:
        return [key_of(change.object)]

    async def reconcile(self, key: Key) -> float | None:
        event = self._cluster.get("events", key)
        if event is None:
            return None
        left = parse_time(last_seen(event)) + LIFETIME - self._cluster.clock()
        if left > timedelta(0):
            return left.total_seconds()
        self._cluster.delete("events", event)
        return None


def last_seen(event: Object) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )
