"""What the API server says about a CustomResourceDefinition: its names, its stored versions, that it is served.

Pure: the status of one definition, given the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.objects import Object, condition_is_true, spec_of, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def established(definition: Object, others: Iterable[Object], now: str) -> Object:
    """The definition with its names made complete and its status."""
    spec = spec_of(definition)
    names = _complete(spec["names"])
    taken = _taken(definition, others)
    accepted = ("True", "NoConflicts", "no conflicts found") if not taken else ("False", *taken)
    served = ("True", "InitialNamesAccepted", "the initial names have been accepted")
    not_served = ("False", "NotAccepted", "not all names are accepted")
    conditions = [
        _condition(definition, "NamesAccepted", accepted, now),
        _condition(definition, "Established", not_served if taken else served, now),
    ]
    status = {
        "conditions": conditions,
        "acceptedNames": {} if taken else names,
        "storedVersions": _stored_versions(definition),
    }
    conversion = spec.get("conversion") or {"strategy": "None"}
    return {**definition, "spec": {**spec, "names": names, "conversion": conversion}, "status": status}


def is_served(definition: Object) -> bool:
    return condition_is_true(definition, "Established")


def _complete(names: Object) -> Object:
    kind = names["kind"]
    return {
        **names,
        "singular": names.get("singular") or kind.lower(),
        "listKind": names.get("listKind") or f"{kind}List",
    }


def _taken(definition: Object, others: Iterable[Object]) -> tuple[str, str] | None:
    """Which name another definition of this group has already."""
    spec = spec_of(definition)
    for other in others:
        if spec_of(other)["group"] != spec["group"] or other["metadata"]["name"] == definition["metadata"]["name"]:
            continue
        if spec_of(other)["names"]["kind"] == spec["names"]["kind"]:
            return "KindConflict", f'"{spec["names"]["kind"]}" is already in use'
    return None


def _stored_versions(definition: Object) -> list[str]:
    before = status_of(definition).get("storedVersions") or []
    storage = [version["name"] for version in spec_of(definition)["versions"] if version.get("storage")]
    return [*before, *(name for name in storage if name not in before)]


def _condition(definition: Object, kind: str, told: tuple[str, ...], now: str) -> Object:
    status, reason, message = told
    before: Object = next((one for one in status_of(definition).get("conditions") or () if one["type"] == kind), {})
    since = before["lastTransitionTime"] if before.get("status") == status else now
    return {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
