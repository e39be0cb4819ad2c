"""Reading little-endian values off a prefix of a file, in bounds. Pure.

What is kept is bounded apart from what is read: a byte of a hostile file may cost tens of bytes as a Python object.
"""

from __future__ import annotations

import struct

from llmkube.gguf.errors import GGUFError, NeedMore

LARGEST_HEADER = 32 * 1024 * 1024
LONGEST_STRING = 4 * 1024 * 1024
MOST_KEPT_TEXT = 4 * 1024 * 1024
MOST_KEPT_ITEMS = 128 * 1024
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


class Cursor:
    """A place in the bytes. Every read says NeedMore at their end and GGUFError beyond the limit of a header.

    `to_come` is how many bytes follow the value being read at the least: what is asked for is then all that is certain.
    """

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        self.at = 0
        self.to_come = 0
        self._kept_text = self._kept_items = 0

    def take(self, count: int) -> int:
        """Move on by so many bytes; the place where they begin."""
        start, end = self.at, self.at + count
        if end > len(self.data):
            raise self._needed(end)
        self.at = end
        return start

    def u32(self) -> int:
        value: int = _U32.unpack_from(self.data, self.take(4))[0]
        return value

    def u64(self) -> int:
        value: int = _U64.unpack_from(self.data, self.take(8))[0]
        return value

    def string(self, what: str, longest: int = LONGEST_STRING) -> str:
        """A string by its length; bytes that are no UTF-8 are replaced, as the engine takes them too."""
        length = bounded(self.u64(), longest, f"bytes of {what}")
        self._kept_text = bounded(self._kept_text + length, MOST_KEPT_TEXT, "bytes of text in all")
        start = self.take(length)
        return self.data[start : start + length].decode(errors="replace")

    def keep(self, items: int) -> None:
        """Count values that stay in memory; GGUFError when they are too many in all."""
        self._kept_items = bounded(self._kept_items + items, MOST_KEPT_ITEMS, "values in all")

    def skip_strings(self, count: int, what: str) -> None:
        """Move past strings without making them: a tokenizer has hundreds of thousands."""
        data, unpack, end = self.data, _U64.unpack_from, len(self.data)
        at = self.at
        for left in range(count, 0, -1):
            if at + 8 > end:
                raise self._needed(at + 8 * left)
            length = unpack(data, at)[0]
            if length > LONGEST_STRING:
                bounded(length, LONGEST_STRING, f"bytes of {what}")
            at += 8 + length
            if at > end:
                raise self._needed(at + 8 * (left - 1))
        self.at = at

    def _needed(self, end: int) -> NeedMore:
        """Return the wish for more bytes; GGUFError when no header is that long."""
        return NeedMore(bounded(end + self.to_come, LARGEST_HEADER, "bytes"))


def bounded(found: int, most: int, what: str) -> int:
    if found > most:
        raise GGUFError("TooLarge", f"GGUF header: expected at most {most} {what}, found {found}")
    return found
