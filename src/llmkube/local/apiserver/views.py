"""Objects as one served version shows them, and as they are stored.

Core events and events.k8s.io events are one storage with other field names; versions of a custom resource differ in
apiVersion alone (conversion strategy None). Pure; an object that needs no change is given back as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.apiserver.resources import EVENTS_GROUP

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.objects import Object

# events.k8s.io/v1 name -> core/v1 name; the other fields are called alike.
EVENT_FIELDS = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
UNSAID = frozenset({"reportingComponent", "reportingInstance"})
CORE_FIELDS = {core: new for new, core in EVENT_FIELDS.items()}


def shown(resource: Resource, obj: Object) -> Object:
    """A stored object as this version of its resource."""
    if obj.get("apiVersion") == resource.api_version:
        return obj
    if resource.group != EVENTS_GROUP:
        return _renamed(resource.api_version, obj, {})
    told = {name: value for name, value in obj.items() if value != "" or name not in UNSAID}
    return _renamed(resource.api_version, told, CORE_FIELDS)


def stored(resource: Resource, storage: Resource, obj: Object) -> Object:
    """What came in as one version, as the storage version keeps it."""
    if resource.api_version == storage.api_version:
        return obj
    fields = EVENT_FIELDS if resource.group == EVENTS_GROUP else {}
    return _renamed(storage.api_version, obj, fields)


def _renamed(api_version: str, obj: Object, fields: dict[str, str]) -> Object:
    renamed = {fields.get(name, name): value for name, value in obj.items()}
    return {**renamed, "apiVersion": api_version}
