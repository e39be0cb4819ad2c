"""What is wrong with a GGUF header, as one line. The bytes come from strangers: nothing else may escape the reader.

GGUFError      the bytes are no usable header; asking again gives the same
NeedMore       the bytes given end before the header does: read on, up to its limit
"""

from __future__ import annotations


class GGUFError(Exception):
    """`reason` is NotGGUF, UnsupportedVersion, TooLarge, Truncated, Malformed or MissingMetadata."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class NeedMore(Exception):  # noqa: N818 - no error: the reader's way to ask for more
    """The header goes on: at least `at_least` bytes from the beginning of the file are needed."""

    def __init__(self, at_least: int) -> None:
        super().__init__(f"at least {at_least} bytes are needed")
        self.at_least = at_least
