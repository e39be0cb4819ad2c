"""Which resources there are: the built-in ones that local mode stores, and those that CustomResourceDefinitions add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.objects import Object, Registry, StatusError, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
NAMESPACED = (
    "deployments.apps",
    "replicasets.apps",
    "jobs.batch",
    "pods",
    "services",
    "endpointslices.discovery.k8s.io",
    "persistentvolumeclaims",
    "secrets",
    "configmaps",
    "serviceaccounts",
    "leases.coordination.k8s.io",
    "events",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "networkpolicies.networking.k8s.io",
    "poddisruptionbudgets.policy",
    "horizontalpodautoscalers.autoscaling",
)
CLUSTER_SCOPED = (
    "namespaces",
    "nodes",
    DEFINITIONS,
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
)


def namespaced(registry: Registry) -> Iterator[str]:
    yield from NAMESPACED
    yield from (_name(one) for one in everything(registry, DEFINITIONS) if spec_of(one)["scope"] == "Namespaced")


def all_resources(registry: Registry) -> Iterator[str]:
    yield from CLUSTER_SCOPED
    yield from NAMESPACED
    yield from (_name(one) for one in everything(registry, DEFINITIONS))


def everything(registry: Registry, resource: str, namespace: str | None = None) -> list[Object]:
    """Every object of a resource; none when the registry does not serve it."""
    try:
        return registry.list(resource, namespace)
    except StatusError as error:
        if error.code != 404:
            raise
        return []


def _name(definition: Object) -> str:
    spec = spec_of(definition)
    return f"{spec['names']['plural']}.{spec['group']}"
