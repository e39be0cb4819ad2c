"""A custom resource by its structural schema: what the schema does not know goes, what it gives a default gets one.

Pure; the object that comes in is never changed.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from llmkube.local.apiserver import metadata

if TYPE_CHECKING:
    from llmkube.local.objects import Object

ROOT = ("apiVersion", "kind", "metadata")
EMBEDDED = "x-kubernetes-embedded-resource"
ANY: Final = {"x-kubernetes-preserve-unknown-fields": True}


def properties_of(schema: Object) -> dict[str, Object]:
    return schema.get("properties") or {}


def schema_of(schema: Object, name: str) -> Object | None:
    """The schema of a field, None when it is not known."""
    found = properties_of(schema).get(name)
    additional = schema.get("additionalProperties")
    if found is None and additional:
        return additional if isinstance(additional, dict) else ANY
    return found


def pruned(value: Any, schema: Object, *, path: str = "", dropped: list[str] | None = None) -> Any:
    """The value without unknown fields; their paths are added to `dropped`."""
    if isinstance(value, dict):
        return {
            name: _pruned_field(name, below, known, f"{path}.{name}" if path else name, dropped)
            for name, below in value.items()
            if _is_known(name, known := schema_of(schema, name), schema, path, dropped)
        }
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        items = schema["items"]
        return [pruned(item, items, path=f"{path}[{at}]", dropped=dropped) for at, item in enumerate(value)]
    return value


def _pruned_field(name: str, value: Any, known: Object | None, path: str, dropped: list[str] | None) -> Any:
    """What is kept although it is not known is kept whole, but for the metadata of an object in an object."""
    if known is not None and known is not ANY:
        return pruned(value, known, path=path, dropped=dropped)
    if name == "metadata" and path != name and isinstance(value, dict):
        return {one: value[one] for one in value if one in metadata.FIELDS}
    return value


def _is_known(name: str, known: Object | None, schema: Object, path: str, dropped: list[str] | None) -> bool:
    if known is not None or schema.get("x-kubernetes-preserve-unknown-fields"):
        return True
    if name in ROOT and (not path or schema.get(EMBEDDED)):
        return True
    if schema.get("type") not in {"object", None}:
        return True
    if dropped is not None:
        dropped.append(f"{path}.{name}" if path else name)
    return False


def defaulted(value: Any, schema: Object) -> Any:
    """The value with the defaults of the fields that it leaves out, outermost first."""
    if isinstance(value, dict):
        filled = {
            **_defaults(value, schema),
            **{name: one for name, one in value.items() if not _gives_way(one, name, schema)},
        }
        return {name: defaulted(below, schema_of(schema, name) or {}) for name, below in filled.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [defaulted(item, schema["items"]) for item in value]
    return value


def _defaults(value: Object, schema: Object) -> Object:
    return {
        name: copy.deepcopy(below["default"])
        for name, below in properties_of(schema).items()
        if "default" in below and (name not in value or _gives_way(value[name], name, schema))
    }


def _gives_way(value: Any, name: str, schema: Object) -> bool:
    """A null that its schema does not allow is as good as left out; what nobody knows may be null."""
    known = schema_of(schema, name)
    return value is None and known is not None and known is not ANY and not known.get("nullable", False)
