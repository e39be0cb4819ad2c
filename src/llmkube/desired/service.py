"""The Service in front of an InferenceService's pods.

    service_name(isvc_name: str) -> str
    service(isvc: CustomResource, spec: InferenceServiceSpec) -> dict

It targets the container port by its name, so that the port number is the Deployment's matter alone. It must never apply
a clusterIP or a node port: those are the API server's to give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.labels import owner_reference, selector, service_labels
from llmkube.desired.naming import dns_label

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.kube.objects import CustomResource

PORT_NAME = "http"


def service_name(isvc_name: str) -> str:
    """Return the Service's name: the InferenceService's own, unless that is no DNS label."""
    return dns_label(isvc_name)


def service(isvc: CustomResource, spec: InferenceServiceSpec) -> dict[str, Any]:
    """Return the Service."""
    name = isvc.metadata.name
    metadata: dict[str, Any] = {
        "name": service_name(name),
        "namespace": isvc.metadata.namespace,
        "labels": service_labels(name),
        "ownerReferences": [owner_reference(isvc)],
    }
    port = {"name": PORT_NAME, "port": spec.endpoint.port, "targetPort": PORT_NAME, "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata | ({"annotations": spec.endpoint.annotations} if spec.endpoint.annotations else {}),
        "spec": {"type": spec.endpoint.type, "selector": selector(name, "inference"), "ports": [port]},
    }
