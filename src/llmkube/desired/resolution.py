"""What is known of a model before its bytes are there: from its header, or from what the status said earlier.

Pure. What the status says of the same generation stands: a restarted operator asks no source again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.api.conditions import RESOLVED
from llmkube.desired.pod_trouble import Trouble
from llmkube.models.licence import is_allowed

if TYPE_CHECKING:
    from llmkube.api.model import GGUFFacts, ModelMemory, ModelSpec, ModelStatus


@dataclass(frozen=True, slots=True)
class Known:
    """Sizes in bytes; no facts when the header cannot be read from here (the file is in a claim).

    `sha256` is what the source states of the bytes, or what they were verified to be.
    """

    size_bytes: int | None
    etag: str | None = None
    revision: str | None = None
    sha256: str | None = None
    facts: GGUFFacts | None = None
    memory: ModelMemory | None = None


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The source did not answer as it should; `permanent` until the spec changes."""

    trouble: Trouble
    permanent: bool


Resolution = Known | Unresolved


def remembered(previous: ModelStatus, *, generation: int) -> Known | None:
    """Return what the status says of this very generation of the spec."""
    found = next((each for each in previous.conditions if each.type == RESOLVED), None)
    if found is None or found.status != "True" or found.observed_generation != generation:
        return None
    return Known(
        size_bytes=previous.size_bytes,
        etag=previous.etag,
        revision=previous.revision,
        sha256=previous.sha256,
        facts=previous.gguf,
        memory=previous.memory,
    )


def licence_trouble(spec: ModelSpec, known: Known) -> Trouble | None:
    """Return why the licence policy refuses the model."""
    if spec.license is None:
        return None
    found = known.facts.license if known.facts else None
    if is_allowed(found, spec.license.allow):
        return None
    allowed = ", ".join(spec.license.allow)
    told = f"the file says {found!r}" if found else "none is stated that can be read before it is fetched"
    fix = "add it to spec.license.allow, correct it in a .license file beside the model, or choose another model"
    return Trouble("LicenseNotAllowed", f"spec.license.allow: expected a licence among {allowed}; {told}; {fix}")


def quantization_trouble(spec: ModelSpec, known: Known) -> Trouble | None:
    """Return how the header's quantisation differs from the one that the spec names."""
    found = known.facts.quantization if known.facts else None
    if not found or not spec.quantization or found.upper() == spec.quantization.upper():
        return None
    fix = "it is served all the same; correct spec.quantization or spec.source"
    return Trouble(
        "QuantizationDiffers", f"spec.quantization: expected {spec.quantization}, the file says {found}; {fix}"
    )
