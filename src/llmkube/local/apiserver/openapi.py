"""OpenAPI v3 of what is served: enough for `kubectl explain`, for client-side validation and for `kubectl apply`.

Custom resources show their own schemas; built-in ones are objects whose fields are not described here. Pure.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Catalog, Resource
    from llmkube.local.objects import Object

META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_TEXT: Object = {"type": "string"}
_TEXTS: Object = {"type": "object", "additionalProperties": _TEXT}
OBJECT_META: Object = {
    "type": "object",
    "description": "ObjectMeta is metadata that all persisted resources must have.",
    "properties": {
        "name": {**_TEXT, "description": "Name must be unique within a namespace. Cannot be updated."},
        "namespace": {**_TEXT, "description": "Namespace defines the space within which each name must be unique."},
        "labels": {**_TEXTS, "description": "Map of string keys and values to organize and select objects."},
        "annotations": {**_TEXTS, "description": "Unstructured key value map for tools."},
        "finalizers": {"type": "array", "items": _TEXT, "description": "Must be empty before the object is deleted."},
        "generation": {"type": "integer", "description": "A sequence number of the desired state."},
        "resourceVersion": {**_TEXT, "description": "The internal version of this object."},
        "uid": {**_TEXT, "description": "Unique in time and space."},
        "creationTimestamp": {**_TEXT, "description": "When this object was created."},
        "deletionTimestamp": {**_TEXT, "description": "When this object will be deleted."},
        "ownerReferences": {
            "type": "array",
            "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "description": "Objects this object depends on: when all are gone, it is collected.",
        },
    },
}
DESCRIBED = {
    "apiVersion": "APIVersion defines the versioned schema of this representation of an object.",
    "kind": "Kind is a string value representing the REST resource this object represents.",
}
WRITE_QUERY = ("dryRun", "fieldManager", "fieldValidation")
METHODS: dict[str, dict[str, str]] = {
    "many": {"get": "list", "post": "post", "delete": "deletecollection"},
    "one": {"get": "get", "put": "put", "patch": "patch", "delete": "delete"},
}


def index(catalog: Catalog) -> Object:
    """Where the document of each group version is; the hash changes when the document does."""
    places = {_place(one): (one.group, one.version) for one in catalog.all()}
    told = {place: {"serverRelativeURL": _url(catalog, place, *where)} for place, where in places.items()}
    return {"paths": told}


def _place(resource: Resource) -> str:
    return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"


def _url(catalog: Catalog, place: str, group: str, version: str) -> str:
    content = json.dumps(document(catalog, group, version), sort_keys=True).encode()
    return f"/openapi/v3/{place}?hash={hashlib.sha256(content).hexdigest()[:32].upper()}"


def document(catalog: Catalog, group: str, version: str) -> Object:
    """The document of one group version; {} when nothing of it is served."""
    served = [one for one in catalog.all() if (one.group, one.version) == (group, version)]
    if not served:
        return {}
    schemas: Object = {META: OBJECT_META}
    paths: Object = {}
    for resource in served:
        schemas[_name(resource)] = _schema(resource)
        paths |= _paths(resource)
    return {
        "openapi": "3.0.0",
        "info": {"title": "LLMKube local", "version": version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _name(resource: Resource) -> str:
    """Reversed group, version, kind, as kube-openapi names definitions."""
    group = ".".join(reversed(resource.group.split("."))) if resource.group else "io.k8s.api.core"
    return f"{group}.{resource.version}.{resource.kind}"


def _kind(resource: Resource) -> Object:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _schema(resource: Resource) -> Object:
    own = ((resource.version_schema or {}).get("schema") or {}).get("openAPIV3Schema")
    if own is None:
        own = {"type": "object", "description": f"{resource.kind}: a Kubernetes object; its fields are not described here."}  # fmt: skip # noqa: E501
        own["x-kubernetes-preserve-unknown-fields"] = True
    shared = {name: {**_TEXT, "description": said} for name, said in DESCRIBED.items()}
    shared["metadata"] = {
        "allOf": [{"$ref": f"#/components/schemas/{META}"}],
        "description": "Standard object's metadata.",
    }
    properties = {**(own.get("properties") or {}), **shared}
    return {**own, "properties": properties, "x-kubernetes-group-version-kind": [_kind(resource)]}


def _paths(resource: Resource) -> Object:
    root = f"/{_place(resource)}"
    below = f"{root}/namespaces/{{namespace}}" if resource.namespaced else root
    many, one = f"{below}/{resource.plural}", f"{below}/{resource.plural}/{{name}}"
    return {many: _operations(resource, "many"), one: _operations(resource, "one")}


def _operations(resource: Resource, place: str) -> Object:
    return {method: _operation(resource, action) for method, action in METHODS[place].items()}


def _operation(resource: Resource, action: str) -> Object:
    reference: Any = {"schema": {"$ref": f"#/components/schemas/{_name(resource)}"}}
    answer = {"200": {"description": "OK", "content": {"application/json": reference}}}
    writes = action in {"post", "put", "patch"}
    query = [{"name": name, "in": "query", "schema": _TEXT} for name in WRITE_QUERY] if writes else []
    return {
        "responses": answer,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _kind(resource),
        **({"parameters": query} if query else {}),
    }
