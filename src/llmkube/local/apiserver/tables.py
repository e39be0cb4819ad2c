"""meta.k8s.io/v1 Tables, which `kubectl get` prints. Built-in columns: columns.py; custom ones: the schema. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import columns
from llmkube.local.apiserver.columns import Column, age
from llmkube.local.apiserver.jsonpath import first

if TYPE_CHECKING:
    from datetime import datetime

    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.objects import Object

PARTIAL = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


def table(
    resource: Resource, objects: list[Object], *, list_meta: Object, include: str = "Metadata", now: datetime
) -> Object:
    """A Table of objects. `include` is what each row carries of its object: None, Metadata or Object."""
    shown = columns_of(resource)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_meta,
        "columnDefinitions": [one.definition() for one in shown],
        "rows": [_row(shown, obj, include, now) for obj in objects],
    }


def _row(shown: tuple[Column, ...], obj: Object, include: str, now: datetime) -> Object:
    carried = {"Metadata": {"object": {**PARTIAL, "metadata": obj["metadata"]}}, "Object": {"object": obj}}
    return {"cells": [one.cell(obj, now) for one in shown], **carried.get(include, {})}


def columns_of(resource: Resource) -> tuple[Column, ...]:
    if resource.version_schema is None:
        return columns.BUILTIN.get(resource.name, columns.PLAIN)
    declared = resource.version_schema.get("additionalPrinterColumns")
    if not declared:
        return columns.PLAIN
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
    kind = declared["type"]
    return Column(
        declared["name"],
        _Path(declared["jsonPath"], kind),
        kind=kind,
        wide=bool(declared.get("priority")),
        form=declared.get("format", ""),
        described=declared.get("description", ""),
    )
