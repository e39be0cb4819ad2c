"""The engine's own TLS: its key and certificate as files of a Secret, never an argument or a variable.

    tls_part(spec: InferenceServiceSpec, referenced: Referenced) -> PodPart
    secured(probes: dict, spec: InferenceServiceSpec) -> dict         the same probes, by HTTPS

A kubelet does not verify the certificate of what it probes. llama-server reads its files once: another certificate is
another annotation, which replaces the pods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.api.group import GROUP
from llmkube.desired.pod_part import PodPart
from llmkube.desired.referenced import Reference
from llmkube.desired.references import CERTIFICATE, KEY, version

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.references import Referenced

MOUNT_PATH = "/etc/llmkube/tls"
VERSION = f"{GROUP}/tls-version"
_VOLUME = "tls"


def tls_part(spec: InferenceServiceSpec, referenced: Referenced) -> PodPart:
    """Return what the pod needs to answer by HTTPS; nothing where it answers by HTTP."""
    said = spec.endpoint.tls
    if said is None:
        return PodPart()
    reference = Reference("Secret", said.secret_ref.name)
    versions = (version(reference, name, referenced) for name in (CERTIFICATE, KEY))
    items = [{"key": name, "path": name} for name in (CERTIFICATE, KEY)]
    secret = {"secretName": said.secret_ref.name, "items": items, "defaultMode": 0o440}
    return PodPart(
        args=("--ssl-cert-file", f"{MOUNT_PATH}/{CERTIFICATE}", "--ssl-key-file", f"{MOUNT_PATH}/{KEY}"),
        volumes=({"name": _VOLUME, "secret": secret},),
        mounts=({"name": _VOLUME, "mountPath": MOUNT_PATH, "readOnly": True},),
        annotations={VERSION: "-".join(filter(None, versions))},
    )


def secured(probes: dict[str, Any], spec: InferenceServiceSpec) -> dict[str, Any]:
    """Return the container's probes as the engine answers them."""
    if spec.endpoint.tls is None:
        return probes
    return {
        name: {**probe, "httpGet": {**probe["httpGet"], "scheme": "HTTPS"}} if "httpGet" in probe else probe
        for name, probe in probes.items()
    }
