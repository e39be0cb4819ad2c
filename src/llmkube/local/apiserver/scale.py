"""The scale subresource: replicas of a workload as autoscaling/v1 Scale, read and written.

Built-in workloads have one place for it; a custom resource declares its own. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmkube.local.apiserver import errors
from llmkube.local.apiserver.errors import Cause
from llmkube.local.objects import Object, spec_of

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Resource

COPIED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


class Places(NamedTuple):
    """Paths into the object, "" for none: replicas asked for, replicas there are, the selector as text."""

    spec: str = ".spec.replicas"
    status: str = ".status.replicas"
    selector: str = ""


def places(resource: Resource) -> Places:
    declared = ((resource.version_schema or {}).get("subresources") or {}).get("scale")
    if not declared:
        return Places()
    return Places(declared["specReplicasPath"], declared["statusReplicasPath"], declared.get("labelSelectorPath") or "")


def scale_of(resource: Resource, obj: Object) -> Object:
    where = places(resource)
    selector = _value(obj, where.selector) if where.selector else _selector_text(obj)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: obj["metadata"][name] for name in COPIED if name in obj["metadata"]},
        "spec": {"replicas": _value(obj, where.spec) or 0},
        "status": {"replicas": _value(obj, where.status) or 0, **({"selector": selector} if selector else {})},
    }


def scaled(resource: Resource, obj: Object, scale: Object) -> Object:
    """The object with the replicas that a Scale asks for."""
    replicas = spec_of(scale).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        name = obj["metadata"]["name"]
        raise errors.invalid("Scale", "autoscaling", name, [Cause("FieldValueInvalid", "spec.replicas", why)])
    new: Object = _with(obj, places(resource).spec.strip(".").split("."), replicas)
    asked = scale.get("metadata") or {}
    checked = {name: asked[name] for name in ("uid", "resourceVersion") if asked.get(name)}
    return {**new, "metadata": {**obj["metadata"], **checked}}


def _value(obj: Any, path: str) -> Any:
    for name in path.strip(".").split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _with(obj: Object | None, path: list[str], value: Any) -> Any:
    if not path:
        return value
    return {**(obj or {}), path[0]: _with((obj or {}).get(path[0]), path[1:], value)}


def _selector_text(obj: Object) -> str:
    selector = spec_of(obj).get("selector") or {}
    return ",".join(f"{name}={value}" for name, value in sorted((selector.get("matchLabels") or {}).items()))
