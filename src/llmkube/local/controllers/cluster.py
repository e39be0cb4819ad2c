"""How controllers read and write objects: nothing is written that would change nothing, nothing deleted twice."""

from __future__ import annotations

from dataclasses import dataclass

from llmkube.local.objects import (
    Clock,
    Key,
    Object,
    Registry,
    StatusError,
    controller_of,
    controller_reference,
    is_controlled_by,
    is_deleting,
    key_of,
    labels_of,
    matches_labels,
    spec_of,
    uid_of,
    with_status,
)
from llmkube.local.recorder import EventRecorder

MANAGER = "kube-controller-manager"


@dataclass(frozen=True)
class Cluster:
    """The registry, for one component that acts on it."""

    registry: Registry
    recorder: EventRecorder
    clock: Clock

    @staticmethod
    def of(registry: Registry, component: str, clock: Clock) -> Cluster:
        return Cluster(registry, EventRecorder(registry, component=component, clock=clock), clock)

    def get(self, resource: str, key: Key) -> Object | None:
        try:
            return self.registry.get(resource, key.namespace or None, key.name)
        except StatusError as error:
            if error.code != 404:
                raise
            return None

    def everything(self, resource: str, namespace: str | None = None) -> list[Object]:
        return self.registry.list(resource, namespace)

    def controlled(self, resource: str, owner: Object) -> list[Object]:
        """What the owner controls, oldest first."""
        found = [one for one in self.everything(resource, key_of(owner).namespace) if is_controlled_by(one, owner)]
        return sorted(found, key=lambda one: (one["metadata"].get("creationTimestamp", ""), one["metadata"]["name"]))

    def claimed(self, resource: str, owner: Object) -> list[Object]:
        """What the owner controls, and what it controls from now on: what it selects and nobody controls."""
        selector = spec_of(owner).get("selector")
        for one in self.everything(resource, key_of(owner).namespace):
            if controller_of(one) is None and not is_deleting(one) and matches_labels(selector, labels_of(one)):
                meta = one["metadata"]
                owners = [*(meta.get("ownerReferences") or ()), controller_reference(owner)]
                self.update(resource, {**one, "metadata": {**meta, "ownerReferences": owners}})
        return self.controlled(resource, owner)

    def create(self, resource: str, obj: Object) -> Object:
        return self.registry.create(resource, obj["metadata"].get("namespace"), obj, manager=MANAGER)

    def update(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        key = key_of(obj)
        return self.registry.update(
            resource, key.namespace or None, key.name, obj, subresource=subresource, manager=MANAGER
        )

    def set_status(self, resource: str, obj: Object, status: Object) -> Object:
        """Writes the status when it differs from the object's."""
        if status == (obj.get("status") or {}):
            return obj
        return self.update(resource, with_status(obj, status), subresource="status")

    def set_spec(self, resource: str, obj: Object, **changes: object) -> Object:
        """Writes spec fields when they differ."""
        spec = {**spec_of(obj), **changes}
        return obj if spec == spec_of(obj) else self.update(resource, {**obj, "spec": spec})

    def delete(self, resource: str, obj: Object, *, propagation: str = "Background") -> None:
        key = key_of(obj)
        try:
            self.registry.delete(resource, key.namespace or None, key.name, propagation=propagation, uid=uid_of(obj))
        except StatusError as error:
            if error.code not in {404, 409}:
                raise


def without(values: Object, *names: str) -> Object:
    return {name: value for name, value in values.items() if name not in names}


def nonzero(**values: object) -> Object:
    """Status numbers as Kubernetes writes them: a zero is left out."""
    return {name: value for name, value in values.items() if value not in (0, None, "", [])}
