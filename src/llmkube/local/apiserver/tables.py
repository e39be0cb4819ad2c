"""meta.k8s.io/v1 Tables, which `kubectl get` prints. Built-in columns: columns.py; custom ones: the schema. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import columns
from llmkube.local.apiserver.columns import Column, age
from llmkube.local.apiserver.errors import quoted
from llmkube.local.apiserver.jsonpath import first
from llmkube.local.objects import bad_request

if TYPE_CHECKING:
    from datetime import datetime

    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.objects import Object

META = "meta.k8s.io/v1"
INCLUDED = frozenset({"", "Metadata", "Object", "None"})


def table(
    resource: Resource,
    objects: list[Object],
    *,
    list_meta: Object,
    now: datetime,
    include: str = "",
    api_version: str = META,
) -> Object:
    """A Table of objects. `include` is what each row carries of its object: None, Metadata or Object."""
    if include not in INCLUDED:
        why = f"includeObject: Invalid value: {quoted(include)}: must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(f"Unable to convert to Table as requested: {why}")
    shown = columns_of(resource)
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": list_meta,
        "columnDefinitions": [one.definition() for one in shown],
        "rows": [_row(shown, obj, include, now, api_version) for obj in objects],
    }


def partial(obj: Object, api_version: str = META) -> Object:
    """The metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": obj["metadata"]}


def _row(shown: tuple[Column, ...], obj: Object, include: str, now: datetime, api_version: str) -> Object:
    carried = {"Object": obj, "None": None}
    told = carried[include] if include in carried else partial(obj, api_version)
    return {"cells": [one.cell(obj, now) for one in shown], "object": told}


def columns_of(resource: Resource) -> tuple[Column, ...]:
    if resource.version_schema is None:
        return columns.BUILTIN.get(resource.name, columns.PLAIN)
    declared = resource.version_schema.get("additionalPrinterColumns")
    if not declared:
        return (columns.NAME, replace(columns.AGE, kind="date"))
    return (columns.NAME, *(_custom(one) for one in declared))


@dataclass(frozen=True)
class _Path:
    """The value at a JSONPath; a date is shown as an age."""

    path: str
    type: str

    def __call__(self, obj: Object, now: datetime) -> Any:
        found = first(obj, self.path)
        if found is None:
            return None
        if self.type == "date":
            return age(found, now)
        return found if self.type in {"integer", "number", "boolean"} else _text(found)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _custom(declared: Object) -> Column:
    kind, path = declared["type"], declared["jsonPath"]
    return Column(
        declared["name"],
        _Path(path, kind),
        kind=kind,
        wide=bool(declared.get("priority")),
        form=declared.get("format", ""),
        described=declared.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
    )
