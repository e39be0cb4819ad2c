"""How the lists and maps of an object merge: by item (and by which keys), as a set, or as one value.

Custom resources say it in their schema; built-in resources say it in the tables here. Nothing here touches an object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.objects import Object

Merging = Literal["granular", "atomic", "set", "map"]


class Shape(Protocol):
    """One place of an object: how it merges, and the places below it."""

    @property
    def merging(self) -> Merging: ...
    @property
    def keys(self) -> tuple[str, ...]: ...
    def field(self, name: str) -> Shape: ...
    def item(self) -> Shape: ...
    def default_of(self, key: str) -> object:
        """What a list-map key is when an item leaves it out."""
        ...


LIST_MAPS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "schedulingGates": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "hostAliases": ("ip",),
    "podIPs": ("ip",),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "resourceClaims": ("name",),
}
PORT_KEYS = {
    "containers": ("containerPort", "protocol"),
    "initContainers": ("containerPort", "protocol"),
    "spec": ("port", "protocol"),
}
SETS = frozenset({"finalizers"})
SELECTORS = {"selector", "nodeSelector", "podSelector", "namespaceSelector", "labelSelector"}
ATOMIC_MAPS = frozenset({*SELECTORS, "secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef"})


@dataclass(frozen=True)
class BuiltinShape:
    """A place in a built-in resource, known by its name and its parent's name."""

    name: str = ""
    parent: str = ""
    is_list: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        if self.name == "ports":
            return PORT_KEYS.get(self.parent, ())
        if self.name == "conditions" and self.parent != "status":
            return ()
        return LIST_MAPS.get(self.name, ())

    @property
    def merging(self) -> Merging:
        if self.name in ATOMIC_MAPS:
            return "atomic"
        if self.keys:
            return "map"
        return "set" if self.name in SETS else "granular"

    def field(self, name: str) -> Shape:
        return BuiltinShape(name, self.name)

    def item(self) -> Shape:
        return _Item(self.name)

    def default_of(self, key: str) -> object:
        return "TCP" if key == "protocol" else None


@dataclass(frozen=True)
class _Item:
    """An item of a list: a struct, whose fields know the list's name as their parent."""

    list_name: str
    merging: Merging = "granular"
    keys: tuple[str, ...] = ()

    def field(self, name: str) -> Shape:
        return BuiltinShape(name, self.list_name)

    def item(self) -> Shape:
        return BuiltinShape("", self.list_name)

    def default_of(self, key: str) -> object:
        return None


@dataclass(frozen=True)
class SchemaShape:
    """A place in a custom resource, by its structural schema. Metadata is the built-in one."""

    schema: Object = field(hash=False)
    is_root: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.schema.get("x-kubernetes-list-map-keys") or ())

    @property
    def merging(self) -> Merging:
        declared = self.schema.get("x-kubernetes-list-type") or self.schema.get("x-kubernetes-map-type")
        if declared in {"map", "set", "atomic"}:
            return declared  # type: ignore[no-any-return]
        return "atomic" if self.schema.get("type") == "array" else "granular"

    def field(self, name: str) -> Shape:
        if self.is_root and name == "metadata":
            return BuiltinShape("metadata")
        properties = self.schema.get("properties") or {}
        additional = self.schema.get("additionalProperties")
        return SchemaShape(properties.get(name) or (additional if isinstance(additional, dict) else {}))

    def item(self) -> Shape:
        return SchemaShape(self.schema.get("items") or {})

    def default_of(self, key: str) -> object:
        items = self.schema.get("items") or {}
        return ((items.get("properties") or {}).get(key) or {}).get("default")


def shape_of(resource: Resource) -> Shape:
    """How objects of a resource merge, from their root down."""
    if resource.version_schema is None:
        return BuiltinShape()
    schema = resource.version_schema.get("schema") or {}
    return SchemaShape(schema.get("openAPIV3Schema") or {}, is_root=True)
