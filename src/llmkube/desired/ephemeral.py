"""Where each pod of a Model in cache mode Ephemeral will find the file that it fetches for itself.

Pure. The digest must be known before: a pod is told exactly which bytes to take, and refuses all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

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
    found = _placed(key, spec.source, spec.sha256 or known.sha256, known.size_bytes)
    if isinstance(found, Trouble) or known.projector is None:
        return found
    projector = _placed(key, known.projector.source, known.projector.sha256, known.projector.size_bytes)
    return projector if isinstance(projector, Trouble) else msgspec.structs.replace(found, projector=projector)


def _placed(key: Key, source: str, digest: str | None, size: int | None) -> Done | Trouble:
    if digest is None:
        line = f"spec.cache.mode Ephemeral: expected the SHA-256 of {source}, its source states none"
        return Trouble("DigestUnknown", f"{line}; set spec.sha256 (of the model), or another cache mode")
    try:
        name = parse(source).filename
    except SourceError as error:
        return Trouble(error.reason, error.message)
    return Done(digest, size or 0, f"v1/models/{key.namespace}/{key.name}/{digest[:12]}/{name}")
