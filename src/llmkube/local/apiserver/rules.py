"""x-kubernetes-validations of a whole schema, asked about every place of a value that has some. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import cel
from llmkube.local.apiserver.correlation import field_of, item_of
from llmkube.local.apiserver.pruning import properties_of, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.local.apiserver.errors import Cause
    from llmkube.local.objects import Object

NAMES = ("name", "generateName")


def there_are(schema: Object) -> bool:
    """Whether any place of a schema has rules."""
    below = [*properties_of(schema).values(), schema.get("items"), schema.get("additionalProperties")]
    return bool(schema.get("x-kubernetes-validations")) or any(there_are(one) for one in below if isinstance(one, dict))


def known(obj: Object) -> Object:
    """What rules see of an object: all but its metadata, of which they see the name."""
    meta = obj.get("metadata") or {}
    return {**obj, "metadata": {name: meta[name] for name in NAMES if name in meta}}


def problems(value: Any, old: Any, schema: Object, path: str = "") -> Iterator[Cause]:
    yield from cel.problems(value, old, schema, path)
    if isinstance(value, dict):
        for name, below in value.items():
            if (found := schema_of(schema, name)) is not None:
                yield from problems(below, field_of(old, name), found, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from problems(item, item_of(old, schema, item), schema.get("items") or {}, f"{path}[{at}]")
