"""A chat template of one's own in the engine's pod: a file of a ConfigMap.

template_part(spec: InferenceServiceSpec, referenced: Referenced) -> PodPart

llama-server reads the file once, when it starts: another text is another annotation, which replaces the pods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.api.group import GROUP
from llmkube.desired.pod_part import PodPart
from llmkube.desired.referenced import Reference
from llmkube.desired.references import version

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.references import Referenced

MOUNT_PATH = "/etc/llmkube/chat-template"
FILE = f"{MOUNT_PATH}/template.jinja"
VERSION = f"{GROUP}/chat-template-version"
_VOLUME = "chat-template"


def template_part(spec: InferenceServiceSpec, referenced: Referenced) -> PodPart:
    """Return what the pod needs for its chat template; nothing where the model's own is used."""
    said = spec.chat_template_ref
    if said is None:
        return PodPart()
    config = {"name": said.name, "items": [{"key": said.key, "path": "template.jinja"}]}
    return PodPart(
        args=("--chat-template-file", FILE),
        volumes=({"name": _VOLUME, "configMap": config},),
        mounts=({"name": _VOLUME, "mountPath": MOUNT_PATH, "readOnly": True},),
        annotations={VERSION: version(Reference("ConfigMap", said.name), said.key, referenced)},
    )
