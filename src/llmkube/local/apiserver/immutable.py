"""What never changes in a built-in object once it is made, in kube-apiserver's words. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver.errors import Cause
from llmkube.local.objects import Object, spec_of, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from llmkube.local.apiserver.resources import Resource

FIELDS = {
    "deployments.apps": ("selector",),
    "replicasets.apps": ("selector",),
    "ingressclasses.networking.k8s.io": ("controller",),
    "jobs.batch": ("template", "completions", "selector", "completionMode", "podFailurePolicy"),
}
POD_SAYS = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"  # noqa: E501 - Kubernetes' own words
CLAIM_SAYS = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
WHEN_SET = "Forbidden: field is immutable when `immutable` is set"
CONTAINERS = ("containers", "initContainers")


def problems(resource: Resource, obj: Object, old: Object) -> Iterator[Cause]:
    before, after = spec_of(old), spec_of(obj)
    for name in FIELDS.get(resource.name, ()):
        if name in before and before[name] != after.get(name):
            yield _invalid(f"spec.{name}", after.get(name), "field is immutable")
    if find := FINDERS.get(resource.name):
        yield from find(obj, old)


def _invalid(field: str, value: Any, why: str) -> Cause:
    shown = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return Cause("FieldValueInvalid", field, f"Invalid value: {shown}: {why}")


def _forbidden(field: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {why}")


def _pod(obj: Object, old: Object) -> Iterator[Cause]:
    before, after = spec_of(old), spec_of(obj)
    for field in CONTAINERS:
        if _names(before, field) != _names(after, field):
            yield _forbidden(f"spec.{field}", "pod updates may not add or remove containers")
            return
    if _settled(before, before) != _settled(after, before):
        yield _forbidden("spec", POD_SAYS)


def _names(spec: Object, field: str) -> list[Any]:
    return [one.get("name") for one in spec.get(field) or ()]


def _settled(spec: Object, before: Object) -> Object:
    """The spec without what may change: images, the deadline, more tolerations, and the node that it is bound to."""
    left_out = {"activeDeadlineSeconds", *(() if before.get("nodeName") else ("nodeName",))}
    kept = {name: value for name, value in spec.items() if name not in left_out}
    for field in CONTAINERS:
        if kept.get(field):
            kept[field] = [{name: one[name] for name in one if name != "image"} for one in kept[field]]
    had = before.get("tolerations") or []
    kept["tolerations"] = [one for one in had if one in (spec.get("tolerations") or ())]
    return kept


def _claim(obj: Object, old: Object) -> Iterator[Cause]:
    if _claimed(spec_of(obj), old) != _claimed(spec_of(old), old):
        yield _forbidden("spec", CLAIM_SAYS)


def _claimed(spec: Object, old: Object) -> Object:
    """The spec without what may still be said, and without what a bound claim may ask more of."""
    left_out = {name for name in ("volumeName", "storageClassName") if not spec_of(old).get(name)}
    if status_of(old).get("phase") == "Bound":
        left_out |= {"resources", "volumeAttributesClassName"}
    return {name: value for name, value in spec.items() if name not in left_out}


def _service(obj: Object, old: Object) -> Iterator[Cause]:
    before, after = spec_of(old), spec_of(obj)
    address = after.get("clusterIP")
    if before.get("clusterIP") and address != before["clusterIP"] and after.get("type") != "ExternalName":
        yield _invalid("spec.clusterIPs[0]", [address], "may not change once set")


def _config_map(obj: Object, old: Object) -> Iterator[Cause]:
    if old.get("immutable"):
        changed = (name for name in ("immutable", "data", "binaryData") if obj.get(name) != old.get(name))
        yield from (Cause("FieldValueForbidden", name, WHEN_SET) for name in changed)


def _secret(obj: Object, old: Object) -> Iterator[Cause]:
    if obj.get("type") != old.get("type"):
        yield _invalid("type", obj.get("type"), "field is immutable")
    yield from _config_map(obj, old)


FINDERS: Mapping[str, Callable[[Object, Object], Iterator[Cause]]] = {
    "pods": _pod,
    "persistentvolumeclaims": _claim,
    "services": _service,
    "configmaps": _config_map,
    "secrets": _secret,
}
