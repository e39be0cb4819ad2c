"""anyOf, oneOf, allOf and not: schemas beside the schema of a value. Pure; how one is asked is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.apiserver.errors import Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from llmkube.local.objects import Object


def problems(schema: Object, path: str, ask: Callable[[Object], Iterable[Cause]]) -> Iterator[Cause]:
    if (some := _asked(schema, "anyOf", ask)) and all(some):
        yield _wrong(path, "must validate at least one schema (anyOf)")
        yield from min(some, key=len)
    yield from _one(_asked(schema, "oneOf", ask), path)
    if (every := _asked(schema, "allOf", ask)) and any(every):
        yield _wrong(path, "must validate all the schemas (allOf)" + (". None validated" if all(every) else ""))
        yield from (cause for each in every for cause in each)
    if (excluded := schema.get("not")) and not list(ask(excluded)):
        yield _wrong(path, "must not validate the schema (not)")


def _asked(schema: Object, kind: str, ask: Callable[[Object], Iterable[Cause]]) -> list[list[Cause]]:
    return [list(ask(one)) for one in schema.get(kind) or ()]


def _one(found: list[list[Cause]], path: str) -> Iterator[Cause]:
    valid = sum(not one for one in found)
    if found and valid != 1:
        how_many = f"Found {valid} valid alternatives" if valid else "Found none valid"
        yield _wrong(path, f"must validate one and only one schema (oneOf). {how_many}")
        yield from () if valid else min(found, key=len)


def _wrong(path: str, why: str) -> Cause:
    return Cause("FieldValueInvalid", "<nil>", f'Invalid value: "": "{path}" {why}')
