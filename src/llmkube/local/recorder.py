"""Events of the controllers and the node, as `kubectl describe` shows them; the same happening again is only counted.

An event that cannot be written is dropped: events explain, nothing may depend on them.
"""

from __future__ import annotations

import contextlib
from typing import Literal

from llmkube.local.objects import Clock, Object, Registry, StatusError, canonical_hash, time_text

MESSAGE_LIMIT = 1024


class EventRecorder:
    """Writes core/v1 Events for one component. Name and content give the name, so a restart goes on counting."""

    def __init__(self, registry: Registry, *, component: str, clock: Clock) -> None:
        self._registry = registry
        self._component = component
        self._clock = clock

    def normal(self, regarding: Object, reason: str, message: str, *, field_path: str = "") -> None:
        self._record(regarding, "Normal", reason, message, field_path=field_path)

    def warning(self, regarding: Object, reason: str, message: str, *, field_path: str = "") -> None:
        self._record(regarding, "Warning", reason, message, field_path=field_path)

    def _record(
        self, regarding: Object, kind: Literal["Normal", "Warning"], reason: str, message: str, *, field_path: str
    ) -> None:
        event = self._event(regarding, kind, reason, message[:MESSAGE_LIMIT], field_path=field_path)
        namespace, name = event["metadata"]["namespace"], event["metadata"]["name"]
        with contextlib.suppress(StatusError):
            try:
                seen = self._registry.get("events", namespace, name)
            except StatusError:
                self._registry.create("events", namespace, event)
                return
            again = {"count": seen.get("count", 1) + 1, "lastTimestamp": event["lastTimestamp"]}
            self._registry.update("events", namespace, name, {**seen, **again})

    def _event(
        self, regarding: Object, kind: Literal["Normal", "Warning"], reason: str, message: str, *, field_path: str
    ) -> Object:
        meta = regarding["metadata"]
        involved = {
            "apiVersion": regarding["apiVersion"],
            "kind": regarding["kind"],
            "name": meta["name"],
            "namespace": meta.get("namespace"),
            "uid": meta.get("uid"),
            "fieldPath": field_path,
        }
        involved = {name: value for name, value in involved.items() if value}
        moment = time_text(self._clock())
        identity = canonical_hash([involved, kind, reason, message, self._component], length=16)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name'][:230]}.{identity}", "namespace": meta.get("namespace") or "default"},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": self._component, "host": "local"},
            "reportingComponent": self._component,
            "reportingInstance": "local",
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
