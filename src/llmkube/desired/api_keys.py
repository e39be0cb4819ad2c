"""The API keys in the engine's pod: a file of a Secret, never an argument or a variable.

keys_part(spec: InferenceServiceSpec) -> PodPart
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.pod_part import PodPart

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec

MOUNT_PATH = "/etc/llmkube/api-keys"
FILE = f"{MOUNT_PATH}/keys"
_VOLUME = "api-keys"


def keys_part(spec: InferenceServiceSpec) -> PodPart:
    """Return what the pod needs for its API keys; nothing where everybody may ask."""
    if spec.auth is None:
        return PodPart()
    said = spec.auth.secret_ref
    secret = {"secretName": said.name, "items": [{"key": said.key, "path": "keys"}], "defaultMode": 0o440}
    return PodPart(
        args=("--api-key-file", FILE),
        volumes=({"name": _VOLUME, "secret": secret},),
        mounts=({"name": _VOLUME, "mountPath": MOUNT_PATH, "readOnly": True},),
    )
