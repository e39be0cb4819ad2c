"""Between a request and storage: the object gets its defaults, loses what its schema does not know, and is checked.

Pure but for the compiled schemas it keeps. It raises what Kubernetes would answer; it never stores.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import builtin, defaults, errors, metadata, scale
from llmkube.local.apiserver.definitions import CustomSchema, validate_definition
from llmkube.local.apiserver.errors import Cause
from llmkube.local.apiserver.resources import DEFINITIONS
from llmkube.local.objects import Object, bad_request, spec_of

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Resource


NAMESPACE_FINALIZER = "kubernetes"


class Admission:
    """Defaults and validation of every resource. Schemas are compiled once for each version of a definition."""

    def __init__(self) -> None:
        self._schemas: dict[tuple[str, str], tuple[Object, CustomSchema]] = {}

    def undeclared(self, resource: Resource, obj: Object) -> list[str]:
        """The paths of fields that the schema of a custom resource, or any metadata, does not know."""
        schema = self._schema(resource)
        strange = [f"metadata.{name}" for name in sorted(obj["metadata"]) if name not in metadata.FIELDS]
        return [*strange, *(schema.undeclared(obj) if schema else ())]

    def admitted(self, resource: Resource, obj: Object, old: Object | None) -> Object:
        schema = self._schema(resource)
        prepared = schema.prepare(obj) if schema else defaults.prepare(resource, _normal(resource, obj, old), old)
        causes = _custom_problems(resource, schema, prepared, old) if schema else _problems(resource, prepared, old)
        if causes:
            raise errors.invalid(resource.kind, resource.group, prepared["metadata"].get("name", ""), causes)
        return prepared

    def _schema(self, resource: Resource) -> CustomSchema | None:
        version = resource.version_schema
        if version is None:
            return None
        key = (resource.name, resource.version)
        kept = self._schemas.get(key)
        if kept is None or kept[0] is not version:
            kept = self._schemas[key] = (version, CustomSchema.of(resource))
        return kept[1]


def _custom_problems(resource: Resource, schema: CustomSchema, obj: Object, old: Object | None) -> list[Cause]:
    meta = obj["metadata"]
    named = list(builtin.shared_problems(meta) if old is not None else builtin.metadata_problems(resource, obj))
    return [*named, *schema.problems(obj, old), *scale.problems(resource, obj)]


def _problems(resource: Resource, obj: Object, old: Object | None) -> list[Cause]:
    found = builtin.problems(resource, obj, old)
    return [*found, *validate_definition(obj)] if resource.name == DEFINITIONS else found


def _normal(resource: Resource, obj: Object, old: Object | None) -> Object:
    if resource.name == "secrets" and obj.get("stringData") is not None:
        return _with_string_data(obj)
    if resource.name == "namespaces" and old is None:
        return {**obj, "spec": {**spec_of(obj), "finalizers": [NAMESPACE_FINALIZER]}}
    return obj


def _with_string_data(secret: Object) -> Object:
    plain = {name: base64.b64encode(str(text).encode()).decode() for name, text in secret["stringData"].items()}
    kept = {name: value for name, value in secret.items() if name != "stringData"}
    return {**kept, "data": {**(secret.get("data") or {}), **plain}}


def check_shape(resource: Resource, obj: Any) -> Object:
    """The body is an object of this resource; apiVersion and kind may be left out in process, never be others."""
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata", {}), dict):
        raise bad_request(f"the body must be a {resource.kind} object with metadata, found {type(obj).__name__}")
    _check_kind(resource, obj)
    _check_metadata(obj.get("metadata") or {})
    for name in ("spec", "status"):
        if not resource.is_custom and not isinstance(obj.get(name, {}), dict | None):
            raise bad_request(f"{resource.kind}.{name}: expected an object, found {type(obj[name]).__name__}")
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": obj.get("metadata") or {}}


def _check_kind(resource: Resource, obj: Object) -> None:
    """A built-in kind is told apart when the body is decoded, a custom one when it is validated."""
    version, kind = obj.get("apiVersion") or resource.api_version, obj.get("kind") or resource.kind
    if version != resource.api_version:
        expected = f"does not match the expected API version ({resource.api_version})"
        raise bad_request(f"the API version in the data ({version}) {expected}")
    if kind == resource.kind:
        return
    if not resource.is_custom:
        raise bad_request(f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}')
    cause = Cause("FieldValueInvalid", "kind", f'Invalid value: "{kind}": must be {resource.kind}')
    raise errors.invalid(str(kind), resource.group, str((obj.get("metadata") or {}).get("name") or ""), [cause])


METADATA_TYPES = {
    "labels": dict,
    "annotations": dict,
    "finalizers": list,
    "ownerReferences": list,
    "managedFields": list,
}


def _check_metadata(meta: Object) -> None:
    for name, expected in METADATA_TYPES.items():
        if not isinstance(meta.get(name), expected | None):
            raise bad_request(f"metadata.{name}: expected {expected.__name__}, found {type(meta[name]).__name__}")
    for name in ("name", "namespace", "generateName", "uid", "resourceVersion"):
        if not isinstance(meta.get(name), str | None):
            raise bad_request(f"metadata.{name}: expected a string, found {type(meta[name]).__name__}")
    for name in ("labels", "annotations"):
        for key, value in (meta.get(name) or {}).items():
            if not isinstance(value, str):
                raise bad_request(f"metadata.{name}[{key}]: expected a string, found {type(value).__name__}")


def check_finalizers(resource: Resource, name: str, added: list[str]) -> None:
    """No finalizer may be added to an object that is being deleted."""
    if added:
        why = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {added}"
        cause = Cause("FieldValueForbidden", "metadata.finalizers", why)
        raise errors.invalid(resource.kind, resource.group, name, [cause])
