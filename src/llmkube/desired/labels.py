"""Labels, selectors and owner references of what the operator makes.

    model_labels(name: str, component: Component) -> dict[str, str]
    service_labels(name: str) -> dict[str, str]
    selector(name: str, component: Component) -> dict[str, str]     # for spec.selector and list calls
    selector_text(name: str, component: Component) -> str           # "k=v,k=v", e.g. for status.selector
    owner_reference(obj: CustomResource) -> dict[str, Any]
    service_metadata(isvc: CustomResource, *, name: str, annotations: Mapping[str, str] | None) -> dict[str, Any]

A selector must never hold what may change later: the API server refuses to change a Deployment's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from llmkube.api.group import GROUP
from llmkube.desired.naming import child_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.kube.objects import CustomResource

Component = Literal["inference", "fetch", "cache", "collect", "recheck"]

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
MANAGED_BY = "app.kubernetes.io/managed-by"
MODEL = f"{GROUP}/model"
SERVICE = f"{GROUP}/service"


def selector(name: str, component: Component) -> dict[str, str]:
    """Return the labels that tell an owner's pods from all others: fixed for the owner's whole life."""
    return {NAME: "llmkube", INSTANCE: child_name(name), COMPONENT: component}


def selector_text(name: str, component: Component) -> str:
    """Return the selector as a query: `k=v,k=v`."""
    return ",".join(f"{label}={value}" for label, value in selector(name, component).items())


def model_labels(name: str, component: Component) -> dict[str, str]:
    """Return the labels of what is made for the Model `name`."""
    return {**selector(name, component), MANAGED_BY: "llmkube", MODEL: child_name(name)}


def service_labels(name: str) -> dict[str, str]:
    """Return the labels of what is made for the InferenceService `name`."""
    return {**selector(name, "inference"), MANAGED_BY: "llmkube", SERVICE: child_name(name)}


def owner_reference(obj: CustomResource) -> dict[str, Any]:
    """Return the reference that makes `obj` the controller: what it owns goes when it goes."""
    return {
        "apiVersion": obj.api_version,
        "kind": obj.kind,
        "name": obj.metadata.name,
        "uid": obj.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def service_metadata(
    isvc: CustomResource, *, name: str, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the metadata of what stands beside the Deployment of an InferenceService."""
    return {
        "name": name,
        "namespace": isvc.metadata.namespace,
        "labels": service_labels(isvc.metadata.name),
        "ownerReferences": [owner_reference(isvc)],
        **({"annotations": dict(annotations)} if annotations else {}),
    }
