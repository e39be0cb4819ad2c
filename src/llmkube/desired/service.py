"""The Service in front of an InferenceService's pods.

    service_name(isvc_name: str) -> str
    service(isvc: CustomResource, spec: InferenceServiceSpec) -> dict

It targets the container port by its name, so that the port number is the Deployment's matter alone. It must never apply
a clusterIP or a node port: those are the API server's to give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.labels import selector, service_metadata
from llmkube.desired.naming import dns_label

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.kube.objects import CustomResource

PORT_NAME = "http"


def service_name(isvc_name: str) -> str:
    """Return the Service's name: the InferenceService's own, unless that is no DNS label."""
    return dns_label(isvc_name)


def service(isvc: CustomResource, spec: InferenceServiceSpec) -> dict[str, Any]:
    """Return the Service; whoever stands in front of it is told by its port that the engine speaks TLS."""
    name = isvc.metadata.name
    port = {"name": PORT_NAME, "port": spec.endpoint.port, "targetPort": PORT_NAME, "protocol": "TCP"}
    secured = {"appProtocol": "https"} if spec.endpoint.tls else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": service_metadata(isvc, name=service_name(name), annotations=spec.endpoint.annotations),
        "spec": {"type": spec.endpoint.type, "selector": selector(name, "inference"), "ports": [port | secured]},
    }
