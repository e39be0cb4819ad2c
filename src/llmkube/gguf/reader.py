"""The header of a GGUF file (versions 2 and 3, little-endian): its metadata and what its tensors are.

A parser of a prefix of the file, never of the whole: weights are not touched. Every count and length is bounded.
Layout: ggml's docs/gguf.md.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.gguf.cursor import LARGEST_HEADER, Cursor, bounded
from llmkube.gguf.errors import GGUFError, NeedMore, not_gguf
from llmkube.gguf.tables import tables
from llmkube.gguf.values import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_KEYS = MOST_TENSORS = 65_536
MOST_DIMENSIONS = 4
LONGEST_NAME = 1024
FIRST_READ = 1024 * 1024
LARGEST_TENSOR = 1 << 50
SHORTEST_TENSOR = 8 + 4 + 4 + 8
READ_AHEAD = 1024 * 1024
DEFAULT_ALIGNMENT = 32


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
        """How many values the tensor has."""
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
        return self.data_offset + self.tensor_bytes


def parse(data: bytes | bytearray, skipped: dict[int, tuple[int, int]] | None = None) -> Header:
    """The header that the bytes begin with. NeedMore when they end too early, GGUFError when they are none.

    `skipped`: one dict for all prefixes of one file, so that what was read of a tokenizer is not read again.
    """
    cursor = Cursor(data, skipped)
    version = _version(cursor)
    tensor_count = bounded(cursor.u64(), MOST_TENSORS, "tensors")
    key_count = bounded(cursor.u64(), MOST_KEYS, "metadata keys")
    cursor.to_come = tensor_count * SHORTEST_TENSOR
    keys = metadata(cursor, key_count)
    alignment = _alignment(keys)
    tensors = tuple(_tensors(cursor, tensor_count, alignment))
    used = max((one.offset + one.size for one in tensors), default=0)
    end = -(-cursor.at // alignment) * alignment if tensors else cursor.at
    return Header(version, keys, tensors, end, used)


def read_file(path: Path, limit: int = LARGEST_HEADER) -> Header:
    """The header of a local file, by a prefix that grows to `limit` bytes at most. OSError, GGUFError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a FIFO must not hold us
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise GGUFError("NotGGUF", f"{path}: expected a regular file, found something else")
        data, wanted = bytearray(), FIRST_READ
        skipped: dict[int, tuple[int, int]] = {}
        while True:
            read = file.read(min(wanted, limit) - len(data))
            data += read
            try:
                return parse(data, skipped)
            except NeedMore as more:
                size = found.st_size if read else len(data)
                wanted = next_read(str(path), more, found=len(data), size=size, limit=limit)
            except GGUFError as error:
                raise GGUFError(error.reason, f"{path}: {error.message}") from None


def next_read(what: str, more: NeedMore, *, found: int, size: int | None, limit: int = LARGEST_HEADER) -> int:
    """How long the next prefix of a file of `size` bytes is (None: unknown); GGUFError when there is no more of it.

    What is certain to belong to the header and less than READ_AHEAD more, or less than a hundredth of the file: the
    most that may be read in vain.
    """
    if found >= limit:
        raise GGUFError("TooLarge", f"{what}: expected a header of at most {limit} bytes, found a longer one")
    if size is not None and found >= size:
        raise truncated(what, more.at_least, size)
    return min(max(more.at_least + READ_AHEAD - 1, min(((size or 1) - 1) // 100, 8 * found)), limit)


def truncated(what: str, expected: int, found: int) -> GGUFError:
    """Return the error for a file that is shorter than what its header says, in bytes."""
    if found == 0:
        return GGUFError("Truncated", f"{what}: expected a GGUF file, found an empty one; upload or download it again")
    message = f"{what}: expected at least {expected} bytes by its header, found {found}: the file is incomplete"
    return GGUFError("Truncated", f"{message}, upload or download it again")


def _version(cursor: Cursor) -> int:
    start = bytes(cursor.data[: len(MAGIC)])
    if not MAGIC.startswith(start):
        raise not_gguf(cursor.data)
    cursor.take(len(MAGIC))
    version = cursor.u32()
    if version in VERSIONS:
        return version
    if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS:
        message = "GGUF header: expected a little-endian file, found a big-endian one; convert it"
        raise GGUFError("BigEndian", message)
    message = f"GGUF header: expected version 2 or 3, found {version}; convert the model again"
    raise GGUFError("UnsupportedVersion", message)


def _tensors(cursor: Cursor, count: int, alignment: int) -> Iterator[TensorInfo]:
    for left in range(count - 1, -1, -1):
        cursor.to_come = left * SHORTEST_TENSOR
        yield _tensor(cursor, alignment)


def _tensor(cursor: Cursor, alignment: int) -> TensorInfo:
    name = cursor.string("a tensor's name", LONGEST_NAME)
    dimensions = bounded(cursor.u32(), MOST_DIMENSIONS, f"dimensions of tensor {name[:100]!r}")
    shape = tuple(cursor.u64() for _ in range(dimensions))
    kind, offset = cursor.u32(), cursor.u64()
    bounded(offset, LARGEST_TENSOR, f"bytes before tensor {name[:100]!r}")
    if offset % alignment:
        message = f"GGUF tensor {name[:100]!r}: expected an offset that is a multiple of {alignment}, found {offset}"
        raise GGUFError("Malformed", message)
    type_name, size = _layout(name, shape, kind)
    return TensorInfo(name, shape, type_name, offset, size)


def _layout(name: str, shape: tuple[int, ...], kind: int) -> tuple[str, int]:
    """The name of a tensor's type, and its bytes: rows are whole blocks."""
    if kind not in tables().layouts:
        message = f"GGUF tensor {name[:100]!r}: expected a known ggml type, found {kind}; a newer llmkube may know it"
        raise GGUFError("UnsupportedVersion", message)
    type_name, block, size = tables().layouts[kind]
    row = shape[0] if shape else 1
    if row % block:
        message = f"GGUF tensor {name[:100]!r}: expected rows of whole blocks of {block} values, found {row} values"
        raise GGUFError("Malformed", message)
    elements = 1
    for one in shape:
        elements = bounded(elements * one, LARGEST_TENSOR, f"elements of tensor {name[:100]!r}")
    return type_name, elements // block * size


def _alignment(keys: Mapping[str, Any]) -> int:
    found = keys.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(found, int) or isinstance(found, bool) or not 8 <= found <= 65_536 or found & (found - 1):
        message = "GGUF metadata 'general.alignment': expected a power of two from 8 to 65536"
        raise GGUFError("Malformed", f"{message}, found {repr(found)[:40]}")
    return found
