"""Reading little-endian values off a prefix of a file, in bounds. Pure."""

from __future__ import annotations

import struct

from llmkube.gguf.errors import GGUFError, NeedMore

LARGEST_HEADER = 128 * 1024 * 1024
LONGEST_STRING = 8 * 1024 * 1024
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


class Cursor:
    """A place in the bytes. Every read says NeedMore at their end and GGUFError beyond the limit of a header."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> int:
        """Move on by so many bytes; the place where they begin."""
        start, end = self.at, self.at + count
        if end > LARGEST_HEADER:
            raise GGUFError("TooLarge", f"GGUF header: expected at most {LARGEST_HEADER} bytes, found {end} or more")
        if end > len(self.data):
            raise NeedMore(end)
        self.at = end
        return start

    def u32(self) -> int:
        value: int = _U32.unpack_from(self.data, self.take(4))[0]
        return value

    def u64(self) -> int:
        value: int = _U64.unpack_from(self.data, self.take(8))[0]
        return value

    def string(self, what: str, longest: int = LONGEST_STRING) -> str:
        length = self.bounded(self.u64(), longest, f"bytes of {what}")
        start = self.take(length)
        return self.data[start : start + length].decode(errors="replace")

    def skip_strings(self, count: int, what: str) -> None:
        """Move past strings without making them: a tokenizer has hundreds of thousands."""
        data, unpack, end = self.data, _U64.unpack_from, len(self.data)
        at = self.at
        for _ in range(count):
            if at + 8 > end:
                raise NeedMore(at + 8)
            length = unpack(data, at)[0]
            if length > LONGEST_STRING:
                self.bounded(length, LONGEST_STRING, f"bytes of {what}")
            at += 8 + length
            if at > end:
                raise NeedMore(at)
        self.at = at

    def bounded(self, found: int, most: int, what: str) -> int:
        if found > most:
            raise GGUFError("TooLarge", f"GGUF header: expected at most {most} {what}, found {found}")
        return found
