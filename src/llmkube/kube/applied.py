"""What was applied last, known from the object itself: the manifest's hash is an annotation of it. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from llmkube.api.group import GROUP
from llmkube.kube.diff import covers

if TYPE_CHECKING:
    from llmkube.kube.client import Manifest
    from llmkube.kube.objects import Object

APPLIED_HASH = f"{GROUP}/applied-hash"
TYPE = ("apiVersion", "kind")


def with_hash(desired: Manifest) -> Manifest:
    """Return the manifest with the hash of itself as an annotation."""
    encoded = msgspec.json.encode(desired, order="deterministic")
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    metadata = desired["metadata"]
    annotations = {**(metadata.get("annotations") or {}), APPLIED_HASH: digest}
    return {**desired, "metadata": {**metadata, "annotations": annotations}}


def hash_of(wanted: Manifest) -> str:
    """The hash in a manifest `with_hash`."""
    return str(wanted["metadata"]["annotations"][APPLIED_HASH])


def was_applied(wanted: Manifest, live: Object) -> bool:
    """Whether this very manifest was the last that was applied to the live object."""
    return live.metadata.annotations.get(APPLIED_HASH) == hash_of(wanted)


def is_applied(wanted: Manifest, live: Object) -> bool:
    """Whether the live object was applied from this very manifest and nobody has changed a field of it since."""
    return was_applied(wanted, live) and covers(content(live), without_type(wanted))


def without_type(wanted: Manifest) -> Manifest:
    """Return the manifest without what an object in memory may lack: a list's items have no type of their own."""
    return {name: wanted[name] for name in wanted if name not in TYPE}


def content(live: Object) -> Manifest:
    """An object as plain JSON values."""
    there = msgspec.to_builtins(live, builtin_types=(msgspec.Raw,))
    return {**there, "spec": spec_of(live)}


def spec_of(live: Object) -> Any:
    """An object's spec as plain JSON values."""
    spec = getattr(live, "spec", None)
    return msgspec.json.decode(spec) if isinstance(spec, msgspec.Raw) else msgspec.to_builtins(spec)
