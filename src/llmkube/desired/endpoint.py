"""The URLs under which an InferenceService is reached: by pods of the cluster, and from outside of it.

    endpoint(isvc: CustomResource, spec: InferenceServiceSpec, *, settings: OperatorSettings, cluster_ip: str)
        -> str | None
    external_endpoint(spec: InferenceServiceSpec, *, balancer: str) -> str | None
    scheme(spec: InferenceServiceSpec) -> str            http or https, as the engine itself answers

Without cluster DNS (`settings.cluster_domain` is empty) it is told by the Service's clusterIP, and is None until there
is one. It must never name a host that the cluster does not serve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.api.endpoint import Endpoint
from llmkube.desired.service import service_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource

_PATHS: Mapping[str, str] = {"embedding": "/v1/embeddings", "rerank": "/v1/rerank"}
_NO_ADDRESS = frozenset({"", "None"})  # what a Service says before it has an address, and when it is headless


def endpoint(
    isvc: CustomResource, spec: InferenceServiceSpec, *, settings: OperatorSettings, cluster_ip: str
) -> str | None:
    """Return the URL of the OpenAI-compatible endpoint."""
    host = _host(isvc, settings.cluster_domain, cluster_ip)
    return f"{scheme(spec)}://{host}:{spec.endpoint.port}{_path(spec)}" if host else None


def external_endpoint(spec: InferenceServiceSpec, *, balancer: str) -> str | None:
    """Return the URL by the route's first host that is one, else by the address of the Service's load balancer."""
    if route := spec.endpoint.route:
        host = next((each for each in route.hosts if not each.startswith("*.")), None)
        outer = "https" if route.tls else "http"
        return f"{outer}://{host}{_routed(route.path, _path(spec))}" if host else None
    if spec.endpoint.type != "LoadBalancer" or not balancer:
        return None
    return f"{scheme(spec)}://{_bracketed(balancer)}:{spec.endpoint.port}{_path(spec)}"


def scheme(spec: InferenceServiceSpec) -> str:
    """Return how the engine is spoken to."""
    return "https" if spec.endpoint.tls else "http"


def _path(spec: InferenceServiceSpec) -> str:
    """As the person says, else that of the mode: what embeds or ranks answers no chats."""
    said = spec.endpoint.path
    return _PATHS.get(spec.mode, said) if said == Endpoint.model_fields["path"].default else said


def _routed(prefix: str, path: str) -> str:
    """The service's own path, where the route lets it through."""
    whole = prefix.rstrip("/")
    return path if path == whole or path.startswith(f"{whole}/") else prefix


def _host(isvc: CustomResource, domain: str, cluster_ip: str) -> str:
    if domain:
        return f"{service_name(isvc.metadata.name)}.{isvc.metadata.namespace}.svc.{domain}"
    if cluster_ip in _NO_ADDRESS:
        return ""
    return _bracketed(cluster_ip)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
