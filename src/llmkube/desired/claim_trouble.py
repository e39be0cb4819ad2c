"""What keeps a model's claim from being used, before a fetch is started into it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.api import quantity
from llmkube.desired.cache import is_one_nodes, is_too_small, storage
from llmkube.desired.pod_trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Collection

    from llmkube.api.model import ModelSpec
    from llmkube.desired.resolution import Known
    from llmkube.kube.objects import CustomResource, PersistentVolumeClaim


def claim_trouble(
    model: CustomResource, spec: ModelSpec, known: Known, *, name: str, live: PersistentVolumeClaim | None
) -> Trouble | None:
    """Return why nothing can be fetched into the claim `name`; a claim that is still to be made is no trouble."""
    claim = f"PersistentVolumeClaim {name}"
    if live is None:
        return _of_missing(spec, known, claim)
    if live.metadata.deletion_timestamp is not None:
        return Trouble("ClaimDeleted", f"{claim} is being deleted; wait until it is gone, or name another one")
    if spec.cache.mode == "PerModel" and not _is_owned(live, model):
        fix = "delete it, or use it with spec.cache.mode Existing, or give the Model another name"
        return Trouble("ClaimTaken", f"{claim}: expected none or the Model's own, found somebody else's; {fix}")
    if live.status.phase == "Lost":
        return Trouble("ClaimLost", f"{claim} has lost its volume; delete it to have the model fetched anew")
    if known.bytes_needed and is_too_small(live, size_bytes=known.bytes_needed):
        wanted, there = quantity.format_bytes(known.bytes_needed), quantity.format_bytes(storage(live))
        return Trouble("ClaimTooSmall", f"{claim}: expected room for {wanted}, found {there}; {_fix(spec)}")
    return None


def several_nodes(live: PersistentVolumeClaim, nodes: Collection[str]) -> Trouble | None:
    """Return that pods on several nodes want a claim that one node alone can mount."""
    if len(nodes) < 2 or not is_one_nodes(live):
        return None
    where = f"PersistentVolumeClaim {live.metadata.name}: expected pods on one node, as it is ReadWriteOnce"
    fix = "use spec.cache.accessMode ReadWriteMany with a class that has it, mode Ephemeral, or keep pods on one node"
    return Trouble("ClaimOnSeveralNodes", f"{where}, found pods on {', '.join(sorted(nodes))}; {fix}")


def _is_owned(live: PersistentVolumeClaim, model: CustomResource) -> bool:
    return any(each.uid == model.metadata.uid for each in live.metadata.owner_references)


def _fix(spec: ModelSpec) -> str:
    if spec.cache.mode == "Existing":
        return "enlarge it, or name another one in spec.cache.claimName"
    return "raise spec.cache.size (it grows where its storage class allows that), or enlarge it"


def _of_missing(spec: ModelSpec, known: Known, claim: str) -> Trouble | None:
    if spec.cache.mode == "Existing":
        fix = "create it, or correct spec.cache.claimName"
        return Trouble("ClaimNotFound", f"spec.cache.claimName: expected a {claim} in the namespace, found none; {fix}")
    if known.bytes_needed is None and spec.cache.size is None and spec.cache.mode == "PerModel":
        fix = "set spec.cache.size"
        return Trouble("SizeUnknown", f"{claim}: its size cannot be told, as the source states no size; {fix}")
    return None
