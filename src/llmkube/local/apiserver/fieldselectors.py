"""Field selectors: which fields each resource offers, and how the rest is refused.

Pure: text to a predicate. A field that is not offered is a BadRequest; it never selects everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from llmkube.local.objects import Object, bad_request

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Resource

Predicate = Callable[[Object], bool]

TERMS = re.compile(r"(?:[^\\,]|\\.)+|\\$", re.DOTALL)
TERM = re.compile(r"(?P<label>.*?)(?P<operator>!=|==|=)(?P<value>.*)", re.DOTALL)
ESCAPED = re.compile(r"\\(.?)|=", re.DOTALL)
NAMED = ("metadata.name", "metadata.namespace")
INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
POD_SPEC = (
    *("spec.nodeName", "spec.host", "spec.restartPolicy"),
    *("spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"),
)
POD_STATUS = ("status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName")
OFFERED: Mapping[str, frozenset[str]] = {
    "pods": frozenset({*NAMED, *POD_SPEC, *POD_STATUS}),
    "nodes": frozenset({"metadata.name", "spec.unschedulable"}),
    "namespaces": frozenset({"metadata.name", "status.phase"}),
    "services": frozenset({*NAMED, "spec.clusterIP", "spec.type"}),
    "secrets": frozenset({*NAMED, "type"}),
    "jobs.batch": frozenset({*NAMED, "status.successful"}),
    "events": frozenset({*NAMED, *(f"involvedObject.{one}" for one in INVOLVED)})
    | {"reason", "reportingComponent", "source", "type"},
    "events.events.k8s.io": frozenset({*NAMED, *(f"regarding.{one}" for one in INVOLVED)})
    | {"reason", "reportingController", "type"},
}
# Where a field is not found under its own name, or is not empty when it is absent.
PATHS = {"spec.host": "spec.nodeName", "source": "source.component", "status.successful": "status.succeeded"}
ABSENT = {"spec.hostNetwork": "false", "spec.unschedulable": "false", "status.successful": "0"}


class Term(NamedTuple):
    label: str
    is_equal: bool
    value: str

    def holds(self, obj: Object) -> bool:
        path = PATHS.get(self.label, self.label)
        return ((_value(obj, path.split(".")) or ABSENT.get(self.label, "")) == self.value) is self.is_equal


def field_predicate(selector: str, resource: Resource) -> Predicate:
    terms = [_term(selector, one) for one in TERMS.findall(selector)]
    for one in terms:
        _check(one.label, resource)
    return lambda obj: all(one.holds(obj) for one in terms)


def _term(selector: str, text: str) -> Term:
    if (found := TERM.fullmatch(text)) is None:
        raise bad_request(f"invalid selector: '{selector}'; can't understand '{text}'")
    return Term(found["label"], found["operator"] != "!=", ESCAPED.sub(_unescaped, found["value"]))


def _unescaped(found: re.Match[str]) -> str:
    if found[0] == "=":
        raise bad_request(f"invalid field selector: unescaped character in value: {ord('=')}")
    if found[1] not in {"\\", ",", "="}:
        raise bad_request(f"invalid field selector: invalid escape sequence: {found[0]}")
    return found[1]


def _check(label: str, resource: Resource) -> None:
    if label in offered(resource):
        return
    if resource.name == "jobs.batch":
        raise bad_request(f'field label "{label}" not supported for Job')
    if resource.is_custom or resource.name in OFFERED:
        raise bad_request(f"field label not supported: {label}")
    raise bad_request(f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def offered(resource: Resource) -> frozenset[str]:
    if resource.version_schema is None:
        return OFFERED.get(resource.name, frozenset(NAMED))
    declared = {one["jsonPath"].removeprefix(".") for one in resource.version_schema.get("selectableFields") or ()}
    return frozenset({*declared, *(NAMED if resource.namespaced else NAMED[:1])})


def _value(obj: Any, path: list[str]) -> str:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    if isinstance(obj, bool):
        return "true" if obj else "false"
    return "" if obj is None else str(obj)
