"""What is wrong with a GGUF header, as one line. The bytes come from strangers: nothing else may escape the reader.

GGUFError      the bytes are no usable header; asking again gives the same
NeedMore       the bytes given end before the header does: read on, up to its limit
"""

from __future__ import annotations

_SHOWN = 24
_LINK = "use the file's download link"
_UNPACK = "unpack it and name the .gguf file"
_MESSAGE = f"the server answered with a message, {_LINK}"
# How bytes begin (in lower case), what they are then, and what to do.
_KINDS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((b"<!doctype html", b"<html"), "an HTML page", f"the URL is a web page, {_LINK}"),
    ((b"<",), "XML", _MESSAGE),
    ((b"{", b"["), "JSON", _MESSAGE),
    ((b"version https://git-lfs",), "a Git LFS pointer", f"{_LINK}, or run `git lfs pull` first"),
    ((b"pk\x03\x04",), "a ZIP archive", _UNPACK),
    ((b"\x1f\x8b",), "gzip data", _UNPACK),
    ((b"ggml", b"lmgg", b"fmgg", b"tjgg"), "a GGML file from before GGUF", "convert the model to GGUF"),
)


class GGUFError(Exception):
    """`reason`: NotGGUF, UnsupportedVersion, BigEndian, TooLarge, Truncated, Malformed or MissingMetadata."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class NeedMore(Exception):  # noqa: N818 - no error: the reader's way to ask for more
    """The header goes on: at least `at_least` bytes from the beginning of the file are needed."""

    def __init__(self, at_least: int) -> None:
        super().__init__(f"at least {at_least} bytes are needed")
        self.at_least = at_least


def not_gguf(data: bytes | bytearray) -> GGUFError:
    """Return the error for bytes that begin otherwise, with what they seem to be and what to do then."""
    start = bytes(data[:256]).removeprefix(b"\xef\xbb\xbf").lstrip()
    found, advice = _kind(start)
    shown = start[:_SHOWN].decode(errors="replace").replace("\n", " ")
    excerpt = f" ({shown!r}...)" if start else ""
    return GGUFError("NotGGUF", f"expected GGUF magic, found {found}{excerpt}: {advice}")


def _kind(start: bytes) -> tuple[str, str]:
    lower = start.lower()
    for beginnings, found, advice in _KINDS:
        if lower.startswith(beginnings):
            return found, advice
    return ("text", _LINK) if lower and _is_text(lower) else ("other bytes", "name a .gguf file")


def _is_text(start: bytes) -> bool:
    text = start.decode(errors="replace")
    return all(one.isprintable() or one.isspace() for one in text) and "\ufffd" not in text[:-1]
