"""Events, which are one thing with two forms: core/v1 says little of what must be there, events.k8s.io/v1 a lot. Pure.

Fields are named here as the stored form, core/v1, names them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver.errors import Cause
from llmkube.local.apiserver.names import LABEL_KEY, NAME_SAYS
from llmkube.local.apiserver.resources import EVENTS_GROUP
from llmkube.local.apiserver.views import EVENT_FIELDS
from llmkube.local.objects import bad_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.objects import Object

MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
LONGEST, LONGEST_MESSAGE = 128, 1024
"""Bytes, though what is told speaks of characters: Go's len() in pkg/apis/core/validation/events.go."""
UNSET = ("firstTimestamp", "lastTimestamp", "count", "source")
SETTLED = (
    "involvedObject",
    "reason",
    "reportingComponent",
    "reportingInstance",
    "action",
    "related",
    "type",
    "message",
)
CORE: Object = {
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}
NEW: Object = {
    "eventTime": None,
    "deprecatedSource": {},
    "deprecatedFirstTimestamp": None,
    "deprecatedLastTimestamp": None,
}


def filled(resource: Resource, obj: Object) -> Object:
    """With what is always told, as null or empty where nothing is known."""
    return {**(NEW if resource.group == EVENTS_GROUP else CORE), **obj}


def problems(resource: Resource, obj: Object, old: Object | None) -> Iterator[Cause]:
    is_new = resource.group == EVENTS_GROUP
    event = _core(obj) if is_new else obj
    for moment in (event.get("eventTime"), (event.get("series") or {}).get("lastObservedTime")):
        _check_moment(moment)
    yield from _placed(event)
    if event.get("eventTime"):
        yield from _told(event, "reportingController" if is_new else "reportingComponent")
    if is_new and old is None:
        yield from _strict(event)
    elif is_new and old is not None and event.get("eventTime"):
        yield from _changed(event, _core(old))


def _core(obj: Object) -> Object:
    return {EVENT_FIELDS.get(name, name): value for name, value in obj.items()}


def _check_moment(text: Any) -> None:
    if text is not None and not MICRO.fullmatch(str(text)):
        form = '"2006-01-02T15:04:05.000000Z07:00"'
        why = f'parsing time "{text}" as {form}: expected six digits of a second'
        raise bad_request(f'Event in version "v1" cannot be handled as a Event: {why}')


def _placed(event: Object) -> Iterator[Cause]:
    """An event is where its object is; one of what has no namespace is in "default"."""
    here, there = event["metadata"].get("namespace", ""), (event.get("involvedObject") or {}).get("namespace", "")
    if event.get("eventTime"):
        fits = bool(there) or here in {"default", "kube-system"}
    else:
        fits = here == there or (not there and here == "default")
    if not fits:
        why = f"Invalid value: {json.dumps(there)}: does not match event.namespace"
        yield Cause("FieldValueInvalid", "involvedObject.namespace", why)


def _told(event: Object, controller: str) -> Iterator[Cause]:
    """What an event says that has the time of its happening."""
    name = event.get("reportingComponent") or ""
    yield from _needed(controller, name)
    if not name:
        yield _wrong(controller, "name part must be non-empty")
    if not LABEL_KEY.fullmatch(name):
        yield _wrong(controller, NAME_SAYS, name)
    for field in ("reportingInstance", "action", "reason"):
        yield from _needed(field, event.get(field) or "")
        if _size(event.get(field) or "") > LONGEST:
            yield _wrong(field, f"can have at most {LONGEST} characters")
    if _size(event.get("message") or "") > LONGEST_MESSAGE:
        yield _wrong("message", f"can have at most {LONGEST_MESSAGE} characters")


def _strict(event: Object) -> Iterator[Cause]:
    """What events.k8s.io/v1 asks of a new event."""
    yield from _series(event.get("series"))
    yield from _needed("eventTime", event.get("eventTime") or "")
    if event.get("type") not in {"Normal", "Warning"}:
        yield _wrong("type", f"has invalid value: {event.get('type') or ''}")
    for field in UNSET:
        if event.get(field):
            yield _wrong(field, "needs to be unset")


def _series(series: Object | None) -> Iterator[Cause]:
    if series is None:
        return
    if (series.get("count") or 0) < 2:
        yield _wrong("series.count", "should be at least 2")
    yield from _needed("series.lastObservedTime", series.get("lastObservedTime") or "")


def _changed(event: Object, old: Object) -> Iterator[Cause]:
    for field in SETTLED:
        if (event.get(field) or None) != (old.get(field) or None):
            yield _wrong(field, "field is immutable", event.get(field) or "")


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))


def _needed(field: str, value: str) -> Iterator[Cause]:
    if not value:
        yield Cause("FieldValueRequired", field, "Required value")


def _wrong(field: str, why: str, value: Any = "") -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {json.dumps(value)}: {why}")
