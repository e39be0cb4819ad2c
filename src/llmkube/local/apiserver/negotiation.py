"""How an answer is to be shown, by the Accept header: as it is, as a Table, or as metadata alone. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmkube.local.objects import StatusError

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON = frozenset({"application/json", "application/*", "*/*"})
META = "meta.k8s.io"
TABLE, PARTIAL, PARTIAL_LIST = "Table", "PartialObjectMetadata", "PartialObjectMetadataList"
FORMS = frozenset({TABLE, PARTIAL, PARTIAL_LIST})
VERSIONS = frozenset({"v1", "v1beta1"})


class Form(NamedTuple):
    """`kind` is "" for the object as it is."""

    kind: str = ""
    api_version: str = ""


def form(accept: Sequence[str]) -> Form:
    """The first that is served here, as clients name what they like best first."""
    asked = [one for header in accept for one in header.split(",") if one.strip()]
    for one in asked or ["*/*"]:
        kind, *said = (part.strip() for part in one.split(";"))
        if kind in JSON and (found := _form(dict(part.partition("=")[::2] for part in said))) is not None:
            return found
    raise not_acceptable("only the following media types are accepted: application/json")


def _form(said: dict[str, str]) -> Form | None:
    if not said.get("as"):
        return Form()
    if said["as"] not in FORMS or said.get("g") != META or said.get("v") not in VERSIONS:
        return None
    return Form(said["as"], f"{META}/{said['v']}")


def not_acceptable(message: str) -> StatusError:
    return StatusError(406, "NotAcceptable", message)
