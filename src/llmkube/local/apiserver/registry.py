"""The API in process: plain synchronous calls, made on the event loop's thread (SQLite is local and fast).

Objects it gives are shared with its memory; nobody may change one in place. Subscribers are told every committed
change, in order, before the call that made it returns. It knows nothing of HTTP.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import errors, views
from llmkube.local.apiserver.admission import Admission
from llmkube.local.apiserver.crds import Definitions
from llmkube.local.apiserver.deletion import Deletion
from llmkube.local.apiserver.fieldselectors import field_predicate
from llmkube.local.apiserver.requests import Options, Patch, Target
from llmkube.local.apiserver.resources import DEFINITIONS, Catalog
from llmkube.local.apiserver.selectors import label_predicate
from llmkube.local.apiserver.storage import Storage, WatchEvent
from llmkube.local.apiserver.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from llmkube.local.apiserver.requests import PatchType
    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.apiserver.storage import ChangeType
    from llmkube.local.objects import Clock, Object

NAMESPACES = ("default", "kube-system", "llmkube-system")
SERVER = "kube-apiserver"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """Objects by resource ("pods", "deployments.apps"), namespace (None when cluster-scoped) and name."""

    def __init__(self, database: Path, *, clock: Clock = _utc_now) -> None:
        self.storage = Storage(database)
        self.catalog = Catalog()
        self.admission = Admission()
        self._callbacks: list[Callable[[WatchEvent], None]] = []
        self._definitions = Definitions(self.storage, self.catalog, clock)
        self.writer = Writer(self.storage, self.catalog, self.admission, clock, self._commit, self._definitions.finish)
        self._definitions.load()
        for name in NAMESPACES:
            with contextlib.suppress(errors.StatusError):
                self.create("namespaces", None, {"metadata": {"name": name}}, manager=SERVER)

    def close(self) -> None:
        self.storage.close()

    def _commit(self, change: ChangeType, target: Target, obj: Object) -> Object:
        stored = views.stored(target.resource, self.catalog.named(target.stored_as), obj)
        event = self.storage.write(change, target.stored_as, stored)
        for callback in list(self._callbacks):
            callback(event)
        self._follow_definitions(event)
        return views.shown(target.resource, event.object)

    def _follow_definitions(self, event: WatchEvent) -> None:
        """A definition takes its objects with it, and goes when the last of them has gone."""
        for resource, obj in self._definitions.to_delete(event):
            meta = obj["metadata"]
            self.delete(resource, meta.get("namespace"), meta["name"])
        if finished := self._definitions.finished(event):
            self.update(DEFINITIONS, None, finished["metadata"]["name"], finished, manager=SERVER)

    def target(self, resource: str, namespace: str | None, name: str = "", subresource: str = "") -> Target:
        return Target(self.catalog.named(resource), namespace, name, subresource)

    def create(
        self, resource: str, namespace: str | None, obj: Object, *, manager: str = "", dry_run: bool = False
    ) -> Object:
        return self.writer.create(self.target(resource, namespace), obj, Options(manager, dry_run))

    def get(self, resource: str, namespace: str | None, name: str) -> Object:
        return self.writer.stored(self.target(resource, namespace, name))

    def list(
        self, resource: str, namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> list[Object]:
        """All that match, by namespace and name."""
        served = self.catalog.named(resource)
        found = select(served, self.storage.all(served.stored_as).values(), namespace, label_selector, field_selector)
        return [one for _, one in sorted((_place(one), one) for one in found)]

    def update(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        obj: Object,
        *,
        subresource: str = "",
        manager: str = "",
    ) -> Object:
        return self.writer.update(self.target(resource, namespace, name, subresource), obj, Options(manager))

    def patch(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        body: Any,
        *,
        patch_type: PatchType,
        subresource: str = "",
        manager: str = "",
        force: bool = False,
    ) -> Object:
        target = self.target(resource, namespace, name, subresource)
        return self.writer.patch(target, Patch(patch_type, body, force), Options(manager))

    def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        propagation: str = "Background",
        uid: str | None = None,
        grace_period: int | None = None,
    ) -> Object:
        asked = Deletion(propagation, uid, None, grace_period)
        return self.writer.delete(self.target(resource, namespace, name), asked, Options())

    def subscribe(self, callback: Callable[[WatchEvent], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)


def _place(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def select(
    resource: Resource, objects: Iterable[Object], namespace: str | None, label_selector: str, field_selector: str
) -> Iterator[Object]:
    """The objects of a namespace (None: of all) that match both selectors, as this version shows them."""
    labelled, fielded = label_predicate(label_selector), field_predicate(field_selector, resource)
    for one in objects:
        if namespace is not None and resource.namespaced and one["metadata"].get("namespace") != namespace:
            continue
        obj = views.shown(resource, one)
        if labelled(obj) and fielded(obj):
            yield obj
