"""The API keys in the engine's pod: a file of a Secret, never an argument or a variable.

keys_part(spec: InferenceServiceSpec, referenced: Referenced) -> PodPart

llama-server reads the file once, when it starts: other keys are another annotation, which replaces the pods.
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

MOUNT_PATH = "/etc/llmkube/api-keys"
FILE = f"{MOUNT_PATH}/keys"
VERSION = f"{GROUP}/api-keys-version"
_VOLUME = "api-keys"


def keys_part(spec: InferenceServiceSpec, referenced: Referenced) -> PodPart:
    """Return what the pod needs for its API keys; nothing where everybody may ask."""
    if spec.auth is None:
        return PodPart()
    said = spec.auth.secret_ref
    secret = {"secretName": said.name, "items": [{"key": said.key, "path": "keys"}], "defaultMode": 0o440}
    return PodPart(
        args=("--api-key-file", FILE),
        volumes=({"name": _VOLUME, "secret": secret},),
        mounts=({"name": _VOLUME, "mountPath": MOUNT_PATH, "readOnly": True},),
        annotations={VERSION: version(Reference("Secret", said.name), said.key, referenced)},
    )
