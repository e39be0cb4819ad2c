"""A model's facts as one short text: what a memory plan is made from where the header itself cannot be read again.

    packed(facts: ModelFacts) -> str | None       None: it would be longer than LONGEST
    unpacked(text: str) -> ModelFacts | None      None: it is none of ours, or damaged
    is_current(text: str) -> bool

A Model's status holds it, so that neither a restart nor a new service asks a source for a header again. Names and
texts are left out. Layers of one kind share their shapes, so a model of 80 layers takes about a kilobyte. Pure.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import msgspec

from llmkube.gguf.facts import MOST_LAYERS, ModelFacts
from llmkube.gguf.weights import Block, Packing, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 16384
VERSION = "2:"
_LARGEST = 1 << 20  # bytes when unpacked: whoever may write a status must not fill the operator's memory
REMEMBERED = 1024
Told = TypeVar("Told")
Shapes = dict[str, Shape]
Packings = dict[str, Packing]


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    """`blocks`: for each layer the number of its shapes, its bytes, those of its largest tensor, and of its packing."""

    facts: ModelFacts
    kinds: tuple[Shapes, ...]
    packings: tuple[Packings, ...]
    blocks: tuple[tuple[int, int, int, int], ...]


def packed(facts: ModelFacts) -> str | None:
    """Return the text."""
    kinds: list[Shapes] = []
    packings: list[Packings] = []
    blocks = tuple(
        (_number(kinds, block.shapes), block.size, block.largest, _number(packings, block.packing))
        for block in facts.weights.blocks
    )
    bare = replace(
        facts,
        name=None,
        quantization=None,
        license=None,
        license_link=None,
        weights=replace(facts.weights, blocks=()),
    )
    content = msgspec.msgpack.encode(_Packed(bare, tuple(kinds), tuple(packings), blocks), order="deterministic")
    text = VERSION + b64encode(zlib.compress(content, 9)).decode()
    return text if len(text) <= LONGEST and len(content) <= _LARGEST else None


@lru_cache(maxsize=REMEMBERED)
def unpacked(text: str) -> ModelFacts | None:
    """Return the facts, without names and texts."""
    if not is_current(text) or len(text) > LONGEST:
        return None
    try:
        found = msgspec.msgpack.decode(_inflated(b64decode(text[len(VERSION) :])), type=_Packed)
        blocks = tuple(
            Block(size, largest, found.kinds[kind], found.packings[packing])
            for kind, size, largest, packing in found.blocks
        )
    except (msgspec.MsgspecError, RecursionError, zlib.error, ValueError, IndexError):
        return None
    if len(blocks) > MOST_LAYERS or len(blocks) != (found.facts.block_count or 0):
        return None
    return replace(found.facts, weights=replace(found.facts.weights, blocks=blocks))


def is_current(text: str) -> bool:
    """Whether it is of the version that is read here."""
    return text.startswith(VERSION)


def _inflated(content: bytes) -> bytes:
    """No more than the bound; what is cut off is not decoded afterwards."""
    return zlib.decompressobj().decompress(content, _LARGEST)


def _number(kinds: list[dict[str, Told]], of: Mapping[str, Told]) -> int:
    """Of its kind; a new kind gets the next one."""
    wanted = dict(of)
    if wanted not in kinds:
        kinds.append(wanted)
    return kinds.index(wanted)
