"""What the engine reads of Secrets and ConfigMaps that a spec names, as files: never an argument or a variable.

    template_part(spec: InferenceServiceSpec, referenced: Referenced) -> PodPart     a chat template of one's own
    keys_part(spec, referenced) -> PodPart                                           the API keys
    tls_part(spec, referenced) -> PodPart                                            its own certificate and key

llama-server reads each file once, when it starts: another content is another annotation, which replaces the pods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmkube.api.group import GROUP
from llmkube.desired.pod_part import PodPart
from llmkube.desired.referenced import Reference
from llmkube.desired.references import CERTIFICATE, KEY, version

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.references import Referenced

TEMPLATE_VERSION = f"{GROUP}/chat-template-version"
KEYS_VERSION = f"{GROUP}/api-keys-version"
TLS_VERSION = f"{GROUP}/tls-version"


class _File(NamedTuple):
    """The flag that tells the engine of a file, the key that it is, and its name in the pod."""

    flag: str
    key: str
    name: str


def template_part(spec: InferenceServiceSpec, referenced: Referenced) -> PodPart:
    """Return what the pod needs for its chat template; nothing where the model's own is used."""
    if (said := spec.chat_template_ref) is None:
        return PodPart()
    file = _File("--chat-template-file", said.key, "template.jinja")
    return _mounted("chat-template", Reference("ConfigMap", said.name), (file,), TEMPLATE_VERSION, referenced)


def keys_part(spec: InferenceServiceSpec, referenced: Referenced) -> PodPart:
    """Return what the pod needs for its API keys; nothing where everybody may ask."""
    if spec.auth is None:
        return PodPart()
    said = spec.auth.secret_ref
    file = _File("--api-key-file", said.key, "keys")
    return _mounted("api-keys", Reference("Secret", said.name), (file,), KEYS_VERSION, referenced)


def tls_part(spec: InferenceServiceSpec, referenced: Referenced) -> PodPart:
    """Return what the pod needs to answer by HTTPS; nothing where it answers by HTTP."""
    if (said := spec.endpoint.tls) is None:
        return PodPart()
    files = (_File("--ssl-cert-file", CERTIFICATE, CERTIFICATE), _File("--ssl-key-file", KEY, KEY))
    return _mounted("tls", Reference("Secret", said.secret_ref.name), files, TLS_VERSION, referenced)


def _mounted(
    volume: str, reference: Reference, files: tuple[_File, ...], annotation: str, referenced: Referenced
) -> PodPart:
    folder = f"/etc/llmkube/{volume}"
    versions = (version(reference, file.key, referenced) for file in files)
    return PodPart(
        args=tuple(word for file in files for word in (file.flag, f"{folder}/{file.name}")),
        volumes=({"name": volume, **_source(reference, files)},),
        mounts=({"name": volume, "mountPath": folder, "readOnly": True},),
        annotations={annotation: "-".join(filter(None, versions))},
    )


def _source(reference: Reference, files: tuple[_File, ...]) -> dict[str, Any]:
    """The keys that are files, and no others; what a Secret holds is for the engine's group alone."""
    items = [{"key": file.key, "path": file.name} for file in files]
    if reference.kind == "ConfigMap":
        return {"configMap": {"name": reference.name, "items": items}}
    return {"secret": {"secretName": reference.name, "items": items, "defaultMode": 0o440}}
