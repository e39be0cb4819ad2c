"""Which resources the API serves: the built-in table here, and those that CustomResourceDefinitions add later.

A table and look-ups; nothing here touches an object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmkube.local.apiserver import errors

if TYPE_CHECKING:
    from llmkube.local.objects import Object

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
APIEXTENSIONS = "apiextensions.k8s.io"
EVENTS_GROUP = "events.k8s.io"


@dataclass(frozen=True)
class Resource:
    """One served version of one resource. `version_schema` is a CRD's version entry, None for built-in resources."""

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: frozenset[str] = frozenset()
    categories: tuple[str, ...] = ()
    version_schema: Object | None = field(default=None, compare=False, hash=False)

    @property
    def name(self) -> str:
        """The registry's name of the resource: "pods", "deployments.apps"."""
        return errors.qualified(self.plural, self.group)

    @property
    def stored_as(self) -> str:
        """Core events and events.k8s.io events are one storage."""
        return "events" if self.group == EVENTS_GROUP else self.name

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_custom(self) -> bool:
        return self.version_schema is not None

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources


def _builtin(api_version: str, kind: str, plural: str, *marks: str) -> Resource:
    """Marks: "-short", "/subresource", "@category", "cluster"."""
    group, _, version = api_version.rpartition("/")
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        singular=kind.lower(),
        short_names=tuple(mark[1:] for mark in marks if mark[0] == "-"),
        namespaced="cluster" not in marks,
        subresources=frozenset(mark[1:] for mark in marks if mark[0] == "/"),
        categories=tuple(mark[1:] for mark in marks if mark[0] == "@"),
    )


RBAC = "rbac.authorization.k8s.io/v1"
NETWORKING = "networking.k8s.io/v1"
BUILTIN = (
    _builtin("v1", "Namespace", "namespaces", "-ns", "/status", "/finalize", "cluster"),
    _builtin("v1", "Node", "nodes", "-no", "/status", "cluster"),
    _builtin("v1", "Pod", "pods", "-po", "/status", "/log", "/binding", "@all"),
    _builtin("v1", "Service", "services", "-svc", "/status", "/proxy", "@all"),
    _builtin("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "-pvc", "/status"),
    _builtin("v1", "PersistentVolume", "persistentvolumes", "-pv", "/status", "cluster"),
    _builtin("v1", "ConfigMap", "configmaps", "-cm"),
    _builtin("v1", "Secret", "secrets"),
    _builtin("v1", "ServiceAccount", "serviceaccounts", "-sa"),
    _builtin("v1", "Event", "events", "-ev"),
    _builtin("apps/v1", "Deployment", "deployments", "-deploy", "/status", "/scale", "@all"),
    _builtin("apps/v1", "ReplicaSet", "replicasets", "-rs", "/status", "/scale", "@all"),
    _builtin("batch/v1", "Job", "jobs", "/status", "@all"),
    _builtin("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "-hpa", "/status", "@all"),
    _builtin("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    _builtin("coordination.k8s.io/v1", "Lease", "leases"),
    _builtin(f"{EVENTS_GROUP}/v1", "Event", "events", "-ev"),
    _builtin(
        f"{APIEXTENSIONS}/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "-crd",
        "-crds",
        "/status",
        "cluster",
    ),
    _builtin(RBAC, "Role", "roles"),
    _builtin(RBAC, "RoleBinding", "rolebindings"),
    _builtin(RBAC, "ClusterRole", "clusterroles", "cluster"),
    _builtin(RBAC, "ClusterRoleBinding", "clusterrolebindings", "cluster"),
    _builtin("storage.k8s.io/v1", "StorageClass", "storageclasses", "-sc", "cluster"),
    _builtin("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "-pdb", "/status"),
    _builtin(NETWORKING, "NetworkPolicy", "networkpolicies", "-netpol"),
    _builtin(NETWORKING, "Ingress", "ingresses", "-ing", "/status"),
    _builtin(NETWORKING, "IngressClass", "ingressclasses", "cluster"),
    _builtin("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "-pc", "cluster"),
)


class Catalog:
    """Every resource that is served now."""

    def __init__(self) -> None:
        self._builtin = {one.name: one for one in BUILTIN}
        self._custom: dict[str, tuple[Resource, ...]] = {}

    def define(self, definition: Object) -> None:
        """Serves what a CustomResourceDefinition declares, in place of what it declared before."""
        self._custom[definition["metadata"]["name"]] = custom_resources(definition)

    def undefine(self, name: str) -> None:
        self._custom.pop(name, None)

    def all(self) -> list[Resource]:
        return [*self._builtin.values(), *(one for versions in self._custom.values() for one in versions)]

    def named(self, name: str) -> Resource:
        """The storage version of a resource by the registry's name; 404 when it is not served."""
        if name in self._builtin:
            return self._builtin[name]
        if versions := self._custom.get(name):
            return next((one for one in versions if _is_stored(one)), versions[0])
        raise errors.plain(404)

    def served(self, group: str, version: str, plural: str) -> Resource | None:
        matching = (one for one in self.all() if (one.group, one.version, one.plural) == (group, version, plural))
        return next(matching, None)

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        return next((one for one in self.all() if (one.api_version, one.kind) == (api_version, kind)), None)


def _is_stored(resource: Resource) -> bool:
    return bool((resource.version_schema or {}).get("storage"))


def custom_resources(definition: Object) -> tuple[Resource, ...]:
    spec = definition["spec"]
    return tuple(_custom(spec, version) for version in spec["versions"] if version.get("served"))


def _custom(spec: Object, version: Object) -> Resource:
    names = spec["names"]
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames") or ()),
        namespaced=spec["scope"] == "Namespaced",
        subresources=frozenset(version.get("subresources") or ()),
        categories=tuple(names.get("categories") or ()),
        version_schema=version,
    )
