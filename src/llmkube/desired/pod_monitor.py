"""How Prometheus is told to scrape the engines: annotations of the pods, or a PodMonitor for its operator.

    pod_monitor(isvc: CustomResource, spec: InferenceServiceSpec, settings: OperatorSettings) -> dict | None
    scrape_part(spec: InferenceServiceSpec, settings: OperatorSettings) -> PodPart
    unscrapable(spec: InferenceServiceSpec, settings: OperatorSettings, referenced: Referenced) -> Trouble | None

With API keys /metrics asks for one, which annotations cannot carry: pods with keys have none. A PodMonitor names an
entry of the Secret, which is sent as it is (prometheus-operator v0.82.0, pkg/prometheus/promcfg.go): with a line end in
it Prometheus sends nothing at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.arguments import PORT
from llmkube.desired.endpoint import scheme
from llmkube.desired.labels import selector, service_metadata
from llmkube.desired.naming import child_name
from llmkube.desired.pod_part import PodPart
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.referenced import MOST_MARKS, Reference, trouble
from llmkube.desired.service import PORT_NAME

if TYPE_CHECKING:
    from llmkube.api.inference import Auth, InferenceServiceSpec
    from llmkube.desired.referenced import Entry
    from llmkube.desired.references import Referenced
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource

Manifest = dict[str, Any]
PATH = "/metrics"
_FIX = "put one into an entry of its own, with no line end and no comment, and name that entry in spec.auth.metricsKey"


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


def unscrapable(spec: InferenceServiceSpec, settings: OperatorSettings, referenced: Referenced) -> Trouble | None:
    """Return why what the PodMonitor names opens no /metrics; that the Secret has API keys is known (`held`)."""
    if settings.scrape != "podmonitor" or spec.auth is None:
        return None
    secret, key = Reference("Secret", spec.auth.secret_ref.name), _metrics_key(spec.auth)
    where = "spec.auth.metricsKey" if spec.auth.metrics_key else "spec.auth.secretRef.key"
    found = referenced[secret]
    if missing := trouble(where, secret, key, found):
        return missing
    expected = f"{where}: expected one of the API keys alone in key {key} of {secret}, for the PodMonitor"
    entry, keys = found.entries[key], found.entries[spec.auth.secret_ref.key]
    if entry.lines != 1 or entry.breaks:
        return Trouble("MetricsKeyUnusable", f"{expected}, found {_counted(entry)}; {_FIX}")
    if keys.lines <= MOST_MARKS and not entry.marks <= keys.marks:
        seen = f"one that is not among those in key {spec.auth.secret_ref.key}, which /metrics refuses"
        return Trouble("MetricsKeyUnknown", f"{expected}, found {seen}; add it there, or put another here")
    return None


def _counted(entry: Entry) -> str:
    if entry.lines != 1:
        return f"{entry.lines or 'no'} keys"
    return f"one in a text of {entry.breaks} line end{'s' if entry.breaks > 1 else ''}, which no header can carry"


def _metrics_key(auth: Auth) -> str:
    return auth.metrics_key or auth.secret_ref.key


def _access(spec: InferenceServiceSpec) -> Manifest:
    """A pod is scraped by its address, which no certificate names: what is asked for is told by the selector."""
    found: Manifest = {}
    if spec.auth is not None:
        credentials = {"name": spec.auth.secret_ref.name, "key": _metrics_key(spec.auth)}
        found["authorization"] = {"type": "Bearer", "credentials": credentials}
    if spec.endpoint.tls is not None:
        found["tlsConfig"] = {"insecureSkipVerify": True}
    return found
