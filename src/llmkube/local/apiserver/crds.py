"""CustomResourceDefinitions in force: what is served because of them, and what goes with one that is deleted.

It decides and keeps the catalog; it never writes an object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.local.apiserver.definitions import CustomSchema
from llmkube.local.apiserver.established import CLEANUP, established, is_served
from llmkube.local.apiserver.resources import DEFINITIONS
from llmkube.local.objects import Object, is_deleting, time_text

if TYPE_CHECKING:
    from llmkube.local.apiserver.requests import Target
    from llmkube.local.apiserver.resources import Catalog
    from llmkube.local.apiserver.storage import Storage, WatchEvent
    from llmkube.local.objects import Clock


@dataclass(frozen=True)
class Definitions:
    storage: Storage
    catalog: Catalog
    clock: Clock

    def load(self) -> None:
        for definition in self.storage.all(DEFINITIONS).values():
            self._serve(definition)

    def _serve(self, definition: Object) -> None:
        """What was written under an earlier schema is read under this one."""
        if is_served(definition):
            self.catalog.define(definition)
            name = name_of(definition)
            self.storage.reshape(name, CustomSchema.of(self.catalog.named(name)).prepare)

    def finish(self, target: Target, obj: Object) -> Object:
        """A definition with its status; any other object as it is."""
        if target.resource.name != DEFINITIONS:
            return obj
        if obj["metadata"]["uid"] not in self._known(obj):
            obj = _with_cleanup(obj)
        return established(obj, self.storage.all(DEFINITIONS).values(), time_text(self.clock()))

    def _known(self, definition: Object) -> set[str]:
        """The uid of the stored definition of this name: what exists keeps the finalizers it has."""
        name = definition["metadata"]["name"]
        return {one["metadata"]["uid"] for one in self.storage.all(DEFINITIONS).values() if name_of(one) == name}

    def to_delete(self, event: WatchEvent) -> list[tuple[str, Object]]:
        """The objects that a definition takes with it, when the event is its deletion; the catalog follows first."""
        if event.resource != DEFINITIONS:
            return []
        if event.type == "DELETED":
            self.catalog.undefine(name_of(event.object))
            return []
        self._serve(event.object)
        if not is_deleting(event.object):
            return []
        left = self.storage.all(name_of(event.object)).values()
        return [(name_of(event.object), one) for one in list(left) if not is_deleting(one)]

    def finished(self, event: WatchEvent) -> Object | None:
        """The definition without the finalizer that waited for its objects, once none is left."""
        name = name_of(event.object) if event.resource == DEFINITIONS else event.resource
        definition = next((one for one in self.storage.all(DEFINITIONS).values() if name_of(one) == name), None)
        if definition is None or not is_deleting(definition) or self.storage.all(name):
            return None
        finalizers = definition["metadata"].get("finalizers") or []
        if CLEANUP not in finalizers:
            return None
        left = [one for one in finalizers if one != CLEANUP]
        return {**definition, "metadata": {**definition["metadata"], "finalizers": left}}


def name_of(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _with_cleanup(definition: Object) -> Object:
    meta = definition["metadata"]
    return {**definition, "metadata": {**meta, "finalizers": [*(meta.get("finalizers") or ()), CLEANUP]}}
