"""The patches a client may send: RFC 6902, RFC 7396 and Kubernetes' strategic merge. Pure; inputs are never changed.

Server-side apply is not here: it knows who owns a field, and these do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from llmkube.local.apiserver import bounds, errors, jsonpatch, strategic
from llmkube.local.apiserver.shapes import SchemaShape
from llmkube.local.objects import StatusError, bad_request

if TYPE_CHECKING:
    from llmkube.local.apiserver.shapes import Shape
    from llmkube.local.objects import Object


ACCEPTED = (
    "accepted media types include: application/json-patch+json, application/merge-patch+json, "
    "application/apply-patch+yaml"
)


def patched(obj: Object, body: Any, patch_type: Literal["json", "merge", "strategic"], shape: Shape) -> Object:
    """The object after a patch. StatusError: 400 malformed, 413 too many operations, 415 a strategic patch of a
    custom resource, 422 a patch that does not fit the object."""
    bounds.checked(body, "the patch")
    match patch_type:
        case "json":
            result = jsonpatch.applied(obj, body)
        case "merge":
            result = merged(obj, _an_object(body))
        case "strategic":
            if isinstance(shape, SchemaShape):
                raise StatusError(415, "UnsupportedMediaType", f"{errors.PLAIN_REASONS[415][1]} - {ACCEPTED}")
            result = strategic.merged(obj, _an_object(body), shape)
    if not isinstance(result, dict):
        raise StatusError(422, "Invalid", f"the patch must leave an object, found {type(result).__name__}")
    bounds.checked(result, "the patched object")
    return result


def _an_object(body: Any) -> Object:
    if not isinstance(body, dict):
        raise bad_request(f"the patch must be an object, found {type(body).__name__}")
    return body


def merged(value: Any, patch: Any) -> Any:
    """RFC 7396: null removes, an object merges, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    base = value if isinstance(value, dict) else {}
    changed = {name: merged(base.get(name), below) for name, below in patch.items() if below is not None}
    kept = {name: below for name, below in base.items() if name not in patch}
    return {**kept, **changed}
