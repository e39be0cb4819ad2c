"""One line of a watch: what happened and the object that it happened to, read in one pass over the bytes.

    decode(content: bytes, kind: Kind[T]) -> Added[T] | Modified[T] | Deleted[T] | Bookmark | Failed

(API concepts, "Efficient detection of changes".) A first pass to find the object's end would cost as much as decoding.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec
from msgspec import Struct

from llmkube.kube import objects
from llmkube.kube.received import received, unexpected

if TYPE_CHECKING:
    from llmkube.kube.kinds import Kind

T = TypeVar("T", bound=objects.Object)


class Added(Struct, Generic[T], frozen=True, gc=False, tag_field="type", tag="ADDED"):
    object: T


class Modified(Struct, Generic[T], frozen=True, gc=False, tag_field="type", tag="MODIFIED"):
    object: T


class Deleted(Struct, Generic[T], frozen=True, gc=False, tag_field="type", tag="DELETED"):
    object: T


class Marked(Struct, frozen=True, gc=False):
    """All that a bookmark's object has."""

    metadata: objects.ObjectMeta


class Bookmark(Struct, frozen=True, gc=False, tag_field="type", tag="BOOKMARK"):
    object: Marked


class Status(Struct, frozen=True):
    """`Status` of the API, as far as anybody reads it."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: Any = None


class Failed(Struct, frozen=True, tag_field="type", tag="ERROR"):
    object: Status


def decode(content: bytes, kind: Kind[T]) -> Added[T] | Modified[T] | Deleted[T] | Bookmark | Failed:
    """Return the event; TransportError for what is none, also for want of an object's name or a version."""
    found = received(content, _decoder(kind.type), "a watch event in JSON")
    event = cast("Added[T] | Modified[T] | Deleted[T] | Bookmark | Failed", found)
    if not isinstance(event, Failed):
        about = event.object.metadata
        if not about.resource_version or not (about.name or isinstance(event, Bookmark)):
            raise unexpected("a watch event of an object with a name and a version", content)
    return event


@cache
def _decoder(of: type[objects.Object]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(Added[of] | Modified[of] | Deleted[of] | Bookmark | Failed)  # type: ignore[valid-type]
