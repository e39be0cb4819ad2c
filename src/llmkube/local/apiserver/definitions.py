"""CustomResourceDefinitions: whether one is well made, and what its schema makes of an object.

Pure. Messages are kube-apiserver's own, so that tools which read them keep working.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import pruning, rules
from llmkube.local.apiserver.errors import Cause
from llmkube.local.apiserver.validation import problems
from llmkube.local.objects import Object, spec_of

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Resource

PRESERVING: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True)
class CustomSchema:
    """The structural schema of one version of one definition."""

    schema: Object

    @staticmethod
    def of(resource: Resource) -> CustomSchema:
        version = resource.version_schema or {}
        return CustomSchema((version.get("schema") or {}).get("openAPIV3Schema") or PRESERVING)

    def prepare(self, obj: Object) -> Object:
        """The object without unknown fields and with defaults; metadata is not the schema's business."""
        body = pruning.defaulted(pruning.pruned(_body(obj), self.schema), self.schema)
        return {**body, **{name: obj[name] for name in pruning.ROOT if name in obj}}

    @functools.cached_property
    def has_rules(self) -> bool:
        return rules.there_are(self.schema)

    def problems(self, obj: Object, old: Object | None) -> list[Cause]:
        return problems(obj, old, self.known, has_rules=self.has_rules)

    @functools.cached_property
    def known(self) -> Object:
        """The schema, in which the root's own fields are what they are in every object."""
        properties = {**(self.schema.get("properties") or {}), **{name: {} for name in pruning.ROOT}}
        return {**self.schema, "properties": properties}

    def undeclared(self, obj: Object) -> list[str]:
        dropped: list[str] = []
        pruning.pruned(_body(obj), self.schema, dropped=dropped)
        return sorted(dropped)


def _body(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name not in pruning.ROOT}


def validate_definition(definition: Object) -> list[Cause]:
    """What a definition lacks to be served."""
    spec = spec_of(definition)
    names = spec.get("names") or {}
    required = [("spec.group", spec.get("group")), ("spec.names.plural", names.get("plural"))]
    required += [("spec.names.kind", names.get("kind")), ("spec.versions", spec.get("versions"))]
    missing = [Cause("FieldValueRequired", path, "Required value") for path, value in required if not value]
    if missing:
        return missing
    return [*_scope(spec), *_name(definition, spec, names), *_versions(spec["versions"])]


def _scope(spec: Object) -> list[Cause]:
    if spec.get("scope") in {"Namespaced", "Cluster"}:
        return []
    message = f'Unsupported value: "{spec.get("scope", "")}": supported values: "Cluster", "Namespaced"'
    return [Cause("FieldValueNotSupported", "spec.scope", message)]


def _name(definition: Object, spec: Object, names: Object) -> list[Cause]:
    name, expected = definition["metadata"].get("name"), f"{names['plural']}.{spec['group']}"
    if name == expected:
        return []
    return [
        Cause(
            "FieldValueInvalid", "metadata.name", f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        )
    ]


def _versions(versions: Any) -> list[Cause]:
    if not isinstance(versions, list) or not all(isinstance(one, dict) and one.get("name") for one in versions):
        return [
            Cause("FieldValueInvalid", "spec.versions", "Invalid value: each version must be an object with a name")
        ]
    stored = sum(bool(one.get("storage")) for one in versions)
    if stored != 1:
        why = "must have exactly one version marked as storage version"
        return [Cause("FieldValueInvalid", "spec.versions", f"Invalid value: {why}")]
    return [
        Cause(
            "FieldValueRequired", f"spec.versions[{at}].schema.openAPIV3Schema", "Required value: schemas are required"
        )
        for at, one in enumerate(versions)
        if not (one.get("schema") or {}).get("openAPIV3Schema")
    ]
