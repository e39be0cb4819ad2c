"""Where each pod of a Model in cache mode Ephemeral will find the file that it fetches for itself.

Pure. The digest must be known before: a pod is told exactly which bytes to take, and refuses all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.fetch_result import Done
from llmkube.desired.pod_trouble import Trouble
from llmkube.models.errors import SourceError
from llmkube.models.source import parse

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.desired.resolution import Known
    from llmkube.kube.kinds import Key


def placed(key: Key, spec: ModelSpec, known: Known) -> Done | Trouble:
    """Return what a pod's fetch will come to, or why that cannot be told."""
    digest = spec.sha256 or known.sha256
    if digest is None:
        fix = "set spec.sha256, or another cache mode"
        return Trouble("DigestUnknown", f"spec.cache.mode Ephemeral: expected the SHA-256, the source has none; {fix}")
    try:
        name = parse(spec.source).filename
    except SourceError as error:
        return Trouble(error.reason, error.message)
    return Done(digest, known.size_bytes or 0, f"v1/models/{key.namespace}/{key.name}/{digest[:12]}/{name}")
