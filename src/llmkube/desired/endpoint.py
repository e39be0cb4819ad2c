"""The URL under which pods of the cluster reach an InferenceService.

    endpoint(isvc: CustomResource, spec: InferenceServiceSpec, *, settings: OperatorSettings, cluster_ip: str)
        -> str | None

Without cluster DNS (`settings.cluster_domain` is empty) it is told by the Service's clusterIP, and is None until there
is one. It must never name a host that the cluster does not serve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.service import service_name

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource

_NO_ADDRESS = frozenset({"", "None"})  # what a Service says before it has an address, and when it is headless


def endpoint(
    isvc: CustomResource, spec: InferenceServiceSpec, *, settings: OperatorSettings, cluster_ip: str
) -> str | None:
    """Return the URL of the OpenAI-compatible endpoint."""
    host = _host(isvc, settings.cluster_domain, cluster_ip)
    return f"http://{host}:{spec.endpoint.port}{spec.endpoint.path}" if host else None


def _host(isvc: CustomResource, domain: str, cluster_ip: str) -> str:
    if domain:
        return f"{service_name(isvc.metadata.name)}.{isvc.metadata.namespace}.svc.{domain}"
    if cluster_ip in _NO_ADDRESS:
        return ""
    return f"[{cluster_ip}]" if ":" in cluster_ip else cluster_ip
