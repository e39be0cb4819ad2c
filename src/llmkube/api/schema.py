"""Turns the pydantic models into structural schemas as apiextensions/v1 defines them: no $ref, no null, all typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.api.fields import Record

_DROPPED = {"title", "$defs", "propertyNames", "anyOf", "$ref", "const", "default"}
_INT_OR_STRING = "x-kubernetes-int-or-string"
_INT64_LIMIT = 2**63 - 1
_NESTED = ("properties", "items", "additionalProperties")
_ORDER = ("description", "type", "default", "enum", "format", "required", "properties")


def structural(record: type[Record]) -> dict[str, Any]:
    """Return the structural schema of a record and of everything below it."""
    document = record.model_json_schema(by_alias=True)
    return _node(document, document.get("$defs", {}))


def _node(node: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    merged = _flatten(node, defs)
    if _INT_OR_STRING in merged:
        return _int_or_string(merged)
    result = {key: value for key, value in merged.items() if key not in _DROPPED and key not in _NESTED}
    if "const" in merged:
        result["enum"] = [merged["const"]]
    if "description" in merged:
        result["description"] = " ".join(merged["description"].split())
    if merged.get("default") not in (None, []):
        result["default"] = _without_null(merged["default"])
    if abs(result.get("maximum", 0)) >= _INT64_LIMIT:
        # kube-apiserver decodes bounds as floats: 2**63-1 becomes 2**63, and then refuses every status write.
        del result["maximum"]
    if abs(result.get("minimum", 0)) >= _INT64_LIMIT:
        del result["minimum"]
    result |= _children(merged, defs)
    return {key: result[key] for key in sorted(result, key=_position)}


def _flatten(node: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Merge what a reference or an optional type points at under what is said at the place itself."""
    if "$ref" in node:
        target = defs[node["$ref"].rpartition("/")[2]]
        return _flatten(target, defs) | {key: value for key, value in node.items() if key != "$ref"}
    choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
    if not choices or _INT_OR_STRING in node:
        return dict(node)
    if len(choices) > 1:
        raise TypeError(f"expected one type beside null in a structural schema, found {choices}")
    target = _flatten(choices[0], defs)
    return target | {key: value for key, value in node.items() if key != "anyOf"}


def _children(node: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    children: dict[str, Any] = {}
    if "properties" in node:
        children["properties"] = {name: _node(child, defs) for name, child in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            children[key] = _node(node[key], defs)
    return children


def _int_or_string(node: Mapping[str, Any]) -> dict[str, Any]:
    text = next(choice for choice in node["anyOf"] if choice["type"] == "string")
    result = {"description": node["description"]} if "description" in node else {}
    return result | {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": text["maxLength"],
        "pattern": text["pattern"],
        _INT_OR_STRING: True,
    }


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return value


def _position(key: str) -> tuple[int, str]:
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER) - 2, key)
