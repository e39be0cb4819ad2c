"""How Prometheus is told to scrape the engines: annotations of the pods, or a PodMonitor for its operator.

    pod_monitor(isvc: CustomResource, spec: InferenceServiceSpec, settings: OperatorSettings) -> dict | None
    scrape_part(spec: InferenceServiceSpec, settings: OperatorSettings) -> PodPart

With API keys /metrics asks for one, which annotations cannot carry: pods with keys have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.arguments import PORT
from llmkube.desired.endpoint import scheme
from llmkube.desired.labels import selector, service_metadata
from llmkube.desired.naming import child_name
from llmkube.desired.pod_part import PodPart
from llmkube.desired.service import PORT_NAME

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource

Manifest = dict[str, Any]
PATH = "/metrics"


def scrape_part(spec: InferenceServiceSpec, settings: OperatorSettings) -> PodPart:
    """Return the annotations that a Prometheus with the common relabelling follows."""
    if settings.scrape != "annotations" or spec.auth is not None:
        return PodPart()
    said = {"scrape": "true", "scheme": scheme(spec), "port": str(PORT), "path": PATH}
    return PodPart(annotations={f"prometheus.io/{name}": value for name, value in said.items()})


def pod_monitor(isvc: CustomResource, spec: InferenceServiceSpec, settings: OperatorSettings) -> Manifest | None:
    """Return the PodMonitor (monitoring.coreos.com/v1), where the operator was told to make them."""
    if settings.scrape != "podmonitor":
        return None
    name = isvc.metadata.name
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": service_metadata(isvc, name=child_name(name)),
        "spec": {
            "selector": {"matchLabels": selector(name, "inference")},
            "podMetricsEndpoints": [{"port": PORT_NAME, "path": PATH, "scheme": scheme(spec), **_access(spec)}],
        },
    }


def _access(spec: InferenceServiceSpec) -> Manifest:
    """A pod is scraped by its address, which no certificate names: what is asked for is told by the selector."""
    found: Manifest = {}
    if spec.auth is not None:
        secret, key = spec.auth.secret_ref, spec.auth.metrics_key
        found["authorization"] = {"type": "Bearer", "credentials": {"name": secret.name, "key": key or secret.key}}
    if spec.endpoint.tls is not None:
        found["tlsConfig"] = {"insecureSkipVerify": True}
    return found
