"""metadata.ownerReferences: each names an object whole, and one owner at most is the controller. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.apiserver.errors import Cause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.local.objects import Object

PATH = "metadata.ownerReferences"
NEEDED = {
    "apiVersion": "version must not be empty",
    "kind": "must not be empty",
    "name": "must not be empty",
    "uid": "must not be empty",
}


def problems(meta: Object) -> Iterator[Cause]:
    references = [one for one in meta.get("ownerReferences") or () if isinstance(one, dict)]
    for one in references:
        for field, why in NEEDED.items():
            if not one.get(field):
                yield Cause("FieldValueInvalid", f"{PATH}.{field}", f'Invalid value: "": {why}')
    controllers = [one for one in references if one.get("controller")]
    if len(controllers) > 1:
        first, second = controllers[:2]
        why = f"Only one reference can have Controller set to true. Found {_told(first)} and {_told(second)}"
        yield Cause("FieldValueInvalid", PATH, f"Invalid value: {why}")


def _told(reference: Object) -> str:
    return f'"true" in references for {reference.get("kind")}/{reference.get("name")}'
