"""The PersistentVolumeClaim that holds a model's verified file.

    claim_name(spec: ModelSpec, model_name: str) -> str | None      None: no claim, each pod fetches for itself
    claim(model: CustomResource, spec: ModelSpec, *, size_bytes: int, live: PersistentVolumeClaim | None = None)
        -> dict | None                                              None: there is no claim to make
    may_grow(spec: ModelSpec, live: PersistentVolumeClaim, *, size_bytes: int) -> bool
    is_one_nodes(live: PersistentVolumeClaim) -> bool               whether pods of one node alone can mount it
    is_too_small(live: PersistentVolumeClaim, *, size_bytes: int) -> bool
    ephemeral_size(spec: ModelSpec, *, size_bytes: int) -> str      of the emptyDir in mode Ephemeral

A claim's spec cannot change once it is there but for its size, which may grow where its storage class allows it, and
server-side apply drops what is no longer applied. So pass the live claim whenever there is one: its own values are then
applied again. It must never ask for another change of a live claim, nor for less room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmkube.api import quantity
from llmkube.desired.labels import COMPONENT, INSTANCE, MANAGED_BY, NAME, model_labels, owner_reference
from llmkube.desired.naming import child_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.api.model import Cache, ModelSpec
    from llmkube.kube.objects import CustomResource, PersistentVolumeClaim

SHARED_CLAIM = "llmkube-models"
MOUNT_PATH = "/models"
_GI = 2**30
_MARGIN = 256 * 2**20  # a small file system keeps that much for itself
_SHARED_MINIMUM = 100 * _GI  # the first model makes the claim that all later ones share
_SHARED_LABELS = {NAME: "llmkube", INSTANCE: SHARED_CLAIM, COMPONENT: "cache", MANAGED_BY: "llmkube"}
_FIXED = ("accessModes", "storageClassName", "resources")


def claim_name(spec: ModelSpec, model_name: str) -> str | None:
    """Return the name of the claim that the model's pods mount."""
    match spec.cache.mode:
        case "PerModel":
            return child_name(model_name, "cache")
        case "Shared":
            return SHARED_CLAIM
        case "Existing":
            return spec.cache.claim_name
        case "Ephemeral":
            return None


def claim(
    model: CustomResource, spec: ModelSpec, *, size_bytes: int, live: PersistentVolumeClaim | None = None
) -> dict[str, Any] | None:
    """Return the claim that the operator makes for a model of `size_bytes`."""
    if spec.cache.mode not in {"PerModel", "Shared"}:
        return None
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(model, spec),
        "spec": _grown(_live_spec(live), spec.cache, size_bytes) if live else _spec(spec.cache, size_bytes),
    }


def is_too_small(live: PersistentVolumeClaim, *, size_bytes: int) -> bool:
    """Whether a claim that is there cannot hold the model."""
    return storage(live) < size_bytes


def storage(live: PersistentVolumeClaim) -> int:
    """Return the bytes that a claim asks for; 0 when it does not say."""
    return _storage(_live_spec(live))


def may_grow(spec: ModelSpec, live: PersistentVolumeClaim, *, size_bytes: int) -> bool:
    """Whether a claim that the operator made is smaller than it would make it now."""
    if spec.cache.mode not in {"PerModel", "Shared"}:
        return False
    return storage(live) < quantity.to_int(_requested(spec.cache, size_bytes))


def is_one_nodes(live: PersistentVolumeClaim) -> bool:
    """Whether it can be mounted on one node at a time (ReadWriteOnce, ReadWriteOncePod)."""
    modes = _live_spec(live).get("accessModes")
    return isinstance(modes, list) and bool(modes) and all(str(each).startswith("ReadWriteOnce") for each in modes)


def ephemeral_size(spec: ModelSpec, *, size_bytes: int) -> str:
    """Return the size limit of the volume that a pod fetches into."""
    return spec.cache.size or _rounded(size_bytes)


def _metadata(model: CustomResource, spec: ModelSpec) -> dict[str, Any]:
    """A shared claim belongs to no model: every one of them applies the same."""
    metadata: dict[str, Any] = {"name": claim_name(spec, model.metadata.name), "namespace": model.metadata.namespace}
    if spec.cache.mode == "Shared":
        return metadata | {"labels": dict(_SHARED_LABELS)}
    return metadata | {
        "labels": model_labels(model.metadata.name, "cache"),
        "ownerReferences": [owner_reference(model)],
    }


def _spec(cache: Cache, size_bytes: int) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "accessModes": [cache.access_mode or "ReadWriteOnce"],
        "resources": {"requests": {"storage": _requested(cache, size_bytes)}},
    }
    return wanted | ({"storageClassName": cache.storage_class_name} if cache.storage_class_name else {})


def _requested(cache: Cache, size_bytes: int) -> str:
    return cache.size or _rounded(size_bytes, floor=_SHARED_MINIMUM if cache.mode == "Shared" else 0)


def _rounded(size_bytes: int, *, floor: int = 0) -> str:
    """A tenth more than the file, for a file system's own needs, in whole Gi; never what is no quantity any more."""
    needed = max(size_bytes + size_bytes // 10 + _MARGIN, floor)
    return f"{min(-(-needed // _GI), int(quantity.LIMIT) // _GI)}Gi"


def _grown(live: Mapping[str, Any], cache: Cache, size_bytes: int) -> dict[str, Any]:
    """Return the live claim's values of the fields that cannot change, and its size or a larger one."""
    kept = {field: live[field] for field in _FIXED if field in live}
    wanted = _requested(cache, size_bytes)
    if _storage(live) >= quantity.to_int(wanted):
        return kept
    requests = (live.get("resources") or {}).get("requests") or {}
    return kept | {"resources": {"requests": {**requests, "storage": wanted}}}


def _live_spec(live: PersistentVolumeClaim) -> dict[str, Any]:
    decoded = msgspec.json.decode(live.spec)
    return decoded if isinstance(decoded, dict) else {}


def _storage(spec: Mapping[str, Any]) -> int:
    try:
        return quantity.to_int(str(spec["resources"]["requests"]["storage"]))
    except (KeyError, TypeError, quantity.QuantityError):
        return 0
