"""The way in from outside of the cluster: an Ingress or an HTTPRoute to the Service.

    ingress(isvc: CustomResource, spec: InferenceServiceSpec) -> dict | None
    http_route(isvc: CustomResource, spec: InferenceServiceSpec) -> dict | None

Paths come through as the engine has them. Nothing here may open more of the engine than the route's own path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.labels import service_metadata
from llmkube.desired.naming import child_name
from llmkube.desired.service import PORT_NAME, service_name

if TYPE_CHECKING:
    from llmkube.api.endpoint import Route
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.kube.objects import CustomResource

Manifest = dict[str, Any]
_UNLIMITED = "0s"
"""An answer may take as long as it takes: without a word, a Gateway of Envoy's cuts a stream off after 15 seconds."""


def ingress(isvc: CustomResource, spec: InferenceServiceSpec) -> Manifest | None:
    """Return the Ingress, where the route is one."""
    route = spec.endpoint.route
    if route is None or route.kind != "Ingress":
        return None
    name = isvc.metadata.name
    backend = {"service": {"name": service_name(name), "port": {"name": PORT_NAME}}}
    path = {"path": route.path, "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": service_metadata(isvc, name=child_name(name), annotations=route.annotations),
        "spec": {
            **({"ingressClassName": route.class_name} if route.class_name else {}),
            **_tls(route),
            "rules": [{"host": host, "http": {"paths": [path]}} for host in route.hosts],
        },
    }


def http_route(isvc: CustomResource, spec: InferenceServiceSpec) -> Manifest | None:
    """Return the HTTPRoute, where the route is one."""
    route = spec.endpoint.route
    if route is None or route.kind != "HTTPRoute" or route.parent_ref is None:
        return None
    name = isvc.metadata.name
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": service_metadata(isvc, name=child_name(name), annotations=route.annotations),
        "spec": {
            "parentRefs": [route.parent_ref.manifest()],
            "hostnames": list(route.hosts),
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": route.path}}],
                    "backendRefs": [{"name": service_name(name), "port": spec.endpoint.port}],
                    "timeouts": {"request": _UNLIMITED},
                }
            ],
        },
    }


def _tls(route: Route) -> Manifest:
    if route.tls is None:
        return {}
    secret = {"secretName": route.tls.secret_ref.name} if route.tls.secret_ref else {}
    return {"tls": [{"hosts": list(route.hosts), **secret}]}
