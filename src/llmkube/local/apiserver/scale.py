"""The scale subresource: replicas of a workload as autoscaling/v1 Scale, read and written.

Built-in workloads have one place for it; a custom resource declares its own. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmkube.local.apiserver import errors
from llmkube.local.apiserver.errors import Cause
from llmkube.local.objects import Object, StatusError, bad_request, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.local.apiserver.resources import Resource

API_VERSION = "autoscaling/v1"
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
    asked = _value(obj, where.spec)
    return {
        "kind": "Scale",
        "apiVersion": API_VERSION,
        "metadata": {name: obj["metadata"][name] for name in COPIED if name in obj["metadata"]},
        "spec": {"replicas": asked} if asked else {},
        "status": {"replicas": _value(obj, where.status) or 0, **({"selector": selector} if selector else {})},
    }


def scaled(resource: Resource, obj: Object, scale: Object) -> Object:
    """The object with the replicas that a Scale asks for."""
    replicas = _asked(resource, obj["metadata"]["name"], scale)
    new: Object = _with(obj, places(resource).spec.strip(".").split("."), replicas)
    asked = scale.get("metadata") or {}
    checked = {name: asked[name] for name in ("uid", "resourceVersion") if asked.get(name)}
    return {**new, "metadata": {**obj["metadata"], **checked}}


def intent(resource: Resource, name: str, scale: Object) -> Object:
    """The part of the object that an applied Scale is about. StatusError 500 for a custom one, as in Kubernetes."""
    if scale.get("kind") != "Scale" or scale.get("apiVersion") != API_VERSION:
        raise bad_request(f"the body must be an {API_VERSION} Scale")
    if resource.is_custom:
        why = f"request to convert CR to an invalid group/version: {API_VERSION}"
        kind = f"failed to convert new object (/; {API_VERSION}, Kind=Scale) to proper version"
        raise StatusError(500, "", f"{kind}: {why}")
    replicas = {"spec": {"replicas": _asked(resource, name, scale)}} if "replicas" in spec_of(scale) else {}
    meta = scale.get("metadata") or {}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, **replicas}


def _asked(resource: Resource, name: str, scale: Object) -> int:
    replicas = spec_of(scale).get("replicas") or 0
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request(f"Scale.spec.replicas: expected a whole number, found {type(replicas).__name__}")
    if replicas < 0 and not resource.is_custom:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise errors.invalid("Scale", "autoscaling", name, [Cause("FieldValueInvalid", "spec.replicas", why)])
    return replicas


def problems(resource: Resource, obj: Object) -> Iterator[Cause]:
    """Where a custom object counts, it counts from 0."""
    if "scale" not in resource.subresources:
        return
    for path in (places(resource).spec, places(resource).status):
        if isinstance(found := _value(obj, path), int) and found < 0:
            yield Cause("FieldValueInvalid", path, f"Invalid value: {found}: should be a non-negative integer")


def _value(obj: Any, path: str) -> Any:
    for name in path.strip(".").split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _with(obj: Object | None, path: list[str], value: Any) -> Any:
    if not path:
        return value
    return {**(obj or {}), path[0]: _with((obj or {}).get(path[0]), path[1:], value)}


def _selector_text(obj: Object) -> str:
    """As labels.Selector prints itself: by key."""
    selector = spec_of(obj).get("selector") or {}
    equal = [(name, f"{name}={value}") for name, value in (selector.get("matchLabels") or {}).items()]
    other = [(one["key"], _expression(one)) for one in selector.get("matchExpressions") or ()]
    return ",".join(text for _, text in sorted([*equal, *other]))


def _expression(one: Object) -> str:
    values = ",".join(sorted(one.get("values") or ()))
    forms = {
        "In": "{key} in ({values})",
        "NotIn": "{key} notin ({values})",
        "Exists": "{key}",
        "DoesNotExist": "!{key}",
    }
    return forms[one["operator"]].format(key=one["key"], values=values)
