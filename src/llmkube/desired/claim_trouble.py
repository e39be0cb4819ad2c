"""What keeps a model's claim from being used, before a fetch is started into it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.api import quantity
from llmkube.desired.cache import is_too_small
from llmkube.desired.pod_trouble import Trouble

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.desired.resolution import Known
    from llmkube.kube.objects import PersistentVolumeClaim


def claim_trouble(spec: ModelSpec, known: Known, *, name: str, live: PersistentVolumeClaim | None) -> Trouble | None:
    """Return why nothing can be fetched into the claim `name`; a claim that is still to be made is no trouble."""
    claim = f"PersistentVolumeClaim {name}"
    if live is None:
        return _of_missing(spec, known, claim)
    if live.metadata.deletion_timestamp is not None:
        return Trouble("ClaimDeleted", f"{claim} is being deleted; wait until it is gone, or name another one")
    if live.status.phase == "Lost":
        return Trouble("ClaimLost", f"{claim} has lost its volume; delete it to have the model fetched anew")
    if known.size_bytes and is_too_small(live, size_bytes=known.size_bytes):
        size = quantity.format_bytes(known.size_bytes)
        return Trouble("ClaimTooSmall", f"{claim}: expected room for {size}, found less; {_fix(spec)}")
    return None


def _fix(spec: ModelSpec) -> str:
    if spec.cache.mode == "Existing":
        return "enlarge it, or name another one in spec.cache.claimName"
    return "enlarge it, or set spec.cache.size and delete it"


def _of_missing(spec: ModelSpec, known: Known, claim: str) -> Trouble | None:
    if spec.cache.mode == "Existing":
        fix = "create it, or correct spec.cache.claimName"
        return Trouble("ClaimNotFound", f"spec.cache.claimName: expected a {claim} in the namespace, found none; {fix}")
    if known.size_bytes is None and spec.cache.size is None and spec.cache.mode == "PerModel":
        fix = "set spec.cache.size"
        return Trouble("SizeUnknown", f"{claim}: its size cannot be told, as the source states no size; {fix}")
    return None
