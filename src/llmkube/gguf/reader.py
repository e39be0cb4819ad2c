"""The header of a GGUF file (versions 2 and 3, little-endian): its metadata and what its tensors are.

A parser of a prefix of the file, never of the whole: weights are not touched. Every count and length is bounded.
Layout: ggml's docs/gguf.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType

from llmkube.gguf.cursor import Cursor
from llmkube.gguf.errors import GGUFError, NeedMore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_KEYS = MOST_TENSORS = 65_536
MOST_ITEMS = 16_777_216
MOST_KEPT = 1024
MOST_NESTING = 3
MOST_DIMENSIONS = 4
LONGEST_KEY = 65_535
FIRST_READ = 1024 * 1024
LARGEST_TENSOR = 1 << 50
_FORMATS: Mapping[GGUFValueType, struct.Struct] = {
    GGUFValueType.UINT8: struct.Struct("<B"),
    GGUFValueType.INT8: struct.Struct("<b"),
    GGUFValueType.UINT16: struct.Struct("<H"),
    GGUFValueType.INT16: struct.Struct("<h"),
    GGUFValueType.UINT32: struct.Struct("<I"),
    GGUFValueType.INT32: struct.Struct("<i"),
    GGUFValueType.FLOAT32: struct.Struct("<f"),
    GGUFValueType.BOOL: struct.Struct("<?"),
    GGUFValueType.UINT64: struct.Struct("<Q"),
    GGUFValueType.INT64: struct.Struct("<q"),
    GGUFValueType.FLOAT64: struct.Struct("<d"),
}


@dataclass(frozen=True, slots=True)
class LongArray:
    """An array too long to keep: its length is all that a plan needs (a tokenizer's tokens)."""

    length: int
    item_type: str


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """`shape` innermost first, `type` as ggml names it (Q4_K), `offset` and `size` in bytes of the data section."""

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    size: int

    @property
    def elements(self) -> int:
        count = 1
        for one in self.shape:
            count *= one
        return count


@dataclass(frozen=True, slots=True)
class Header:
    """`data_offset` is where the tensors begin; `tensor_bytes` how many bytes of the file they need from there."""

    version: int
    metadata: Mapping[str, Any]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    tensor_bytes: int

    @property
    def file_bytes(self) -> int:
        """How large a complete file is at least."""
        return self.data_offset + self.tensor_bytes if self.tensors else self.data_offset


def parse(data: bytes) -> Header:
    """The header that the bytes begin with. NeedMore when they end too early, GGUFError when they are none."""
    cursor = Cursor(data)
    version = _version(cursor)
    tensor_count = cursor.bounded(cursor.u64(), MOST_TENSORS, "tensors")
    key_count = cursor.bounded(cursor.u64(), MOST_KEYS, "metadata keys")
    metadata: dict[str, Any] = {}
    for _ in range(key_count):
        key = cursor.string("a metadata key", LONGEST_KEY)
        metadata[key] = _value(cursor, key, _type(cursor, key))
    tensors = tuple(_tensor(cursor) for _ in range(tensor_count))
    alignment = _alignment(metadata)
    offset = -(-cursor.at // alignment) * alignment
    used = max((one.offset + one.size for one in tensors), default=0)
    return Header(version, metadata, tensors, offset, used)


def read_file(path: Path) -> Header:
    """The header of a local file, by a growing prefix. OSError, GGUFError."""
    size, wanted = path.stat().st_size, FIRST_READ
    with path.open("rb") as file:
        data = b""
        while True:
            data += file.read(wanted - len(data))
            try:
                return parse(data)
            except NeedMore as more:
                if len(data) >= size:
                    raise truncated(str(path), more.at_least, size) from None
                wanted = max(more.at_least, 2 * len(data))


def truncated(what: str, expected: int, found: int) -> GGUFError:
    message = f"{what}: expected a header of at least {expected} bytes, found {found}: the file is incomplete"
    return GGUFError("Truncated", message)


def _version(cursor: Cursor) -> int:
    start = cursor.take(4) if len(cursor.data) >= 4 or MAGIC.startswith(cursor.data) else 0
    if not cursor.data[start : start + 4] == MAGIC:
        raise GGUFError(
            "NotGGUF", f"expected a GGUF file, found {described(cursor.data)}; give the address of the file"
        )
    version = cursor.u32()
    if version in VERSIONS:
        return version
    swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
    kind = "a big-endian file" if swapped in VERSIONS else f"version {version}"
    raise GGUFError("UnsupportedVersion", f"GGUF header: expected version 2 or 3, little-endian, found {kind}")


def described(data: bytes) -> str:
    """What the bytes seem to be, for a person."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return f"an HTML page ({data[:24]!r})"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (the repository's bytes were not fetched)"
    return f"other bytes ({data[:24]!r})"


def _type(cursor: Cursor, key: str) -> GGUFValueType:
    found = cursor.u32()
    try:
        return GGUFValueType(found)
    except ValueError:
        raise GGUFError("Malformed", f"GGUF metadata {key[:100]!r}: expected a value type, found {found}") from None


def _value(cursor: Cursor, key: str, kind: GGUFValueType, depth: int = 0) -> Any:
    if kind == GGUFValueType.STRING:
        return cursor.string(f"metadata {key[:100]!r}")
    if kind == GGUFValueType.ARRAY:
        return _array(cursor, key, depth + 1)
    form = _FORMATS[kind]
    return form.unpack_from(cursor.data, cursor.take(form.size))[0]


def _array(cursor: Cursor, key: str, depth: int) -> Any:
    if depth > MOST_NESTING:
        raise GGUFError("TooLarge", f"GGUF metadata {key[:100]!r}: expected arrays {MOST_NESTING} deep at most")
    kind = _type(cursor, key)
    count = cursor.bounded(cursor.u64(), MOST_ITEMS, f"items of {key[:100]!r}")
    if count <= MOST_KEPT:
        return [_value(cursor, key, kind, depth) for _ in range(count)]
    if kind == GGUFValueType.STRING:
        cursor.skip_strings(count, f"metadata {key[:100]!r}")
    elif kind == GGUFValueType.ARRAY:
        raise GGUFError("TooLarge", f"GGUF metadata {key[:100]!r}: expected at most {MOST_KEPT} nested arrays")
    else:
        cursor.take(count * _FORMATS[kind].size)
    return LongArray(count, kind.name)


def _tensor(cursor: Cursor) -> TensorInfo:
    name = cursor.string("a tensor's name", LONGEST_KEY)
    dimensions = cursor.bounded(cursor.u32(), MOST_DIMENSIONS, f"dimensions of tensor {name[:100]!r}")
    shape = tuple(cursor.u64() for _ in range(dimensions))
    kind = cursor.u32()
    offset = cursor.bounded(cursor.u64(), LARGEST_TENSOR, f"bytes before tensor {name[:100]!r}")
    try:
        quantization = GGMLQuantizationType(kind)
    except ValueError:
        message = f"GGUF tensor {name[:100]!r}: expected a known ggml type, found {kind}"
        raise GGUFError("Malformed", message) from None
    block, size = GGML_QUANT_SIZES[quantization]
    elements = 1
    for one in shape:
        elements = cursor.bounded(elements * one, LARGEST_TENSOR, f"elements of tensor {name[:100]!r}")
    return TensorInfo(name, shape, quantization.name, offset, -(-elements // block) * size)


def _alignment(metadata: Mapping[str, Any]) -> int:
    found = metadata.get("general.alignment", 32)
    if not isinstance(found, int) or isinstance(found, bool) or not 8 <= found <= 65_536 or found & (found - 1):
        message = f"GGUF metadata 'general.alignment': expected a power of two from 8 to 65536, found {found!r:.40}"
        raise GGUFError("Malformed", message)
    return found
