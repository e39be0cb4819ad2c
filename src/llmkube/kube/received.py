"""JSON that came over the network, read into what is expected of it; whatever it is instead is one error.

    received(content: bytes, decoder: Decoder[S], expected: str) -> S
    decoder_of(kind: type[S]) -> Decoder[S]                             the same each time
    unexpected(expected: str, content: bytes, why: str) -> TransportError

Bytes that are no UTF-8 and what nests without end are none of msgspec's own errors, and it looks for the former only in
what it keeps. A Raw that passes here can be read by anybody.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from llmkube.kube.errors import UNREADABLE, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S")

decoder_of: Callable[[Any], msgspec.json.Decoder[Any]] = cache(msgspec.json.Decoder)


def received(content: bytes, decoder: msgspec.json.Decoder[S], expected: str) -> S:
    """Return what was sent; TransportError says what was expected and how what was found begins."""
    try:
        if not content.isascii():
            content.decode()
        return decoder.decode(content)
    except UNREADABLE as error:
        raise unexpected(expected, content, f": {error}") from error


def unexpected(expected: str, content: bytes, why: str = "") -> TransportError:
    """Return the error that shows how what was found begins."""
    return TransportError(f"expected {expected}, found {content[:80]!r}{why}")
