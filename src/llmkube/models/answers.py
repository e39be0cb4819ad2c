"""What a server answers to a request for bytes of a file, read with distrust: sizes, ranges, entity tags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from llmkube.models.source import Source

CONTENT_RANGE = re.compile(r"bytes (?P<start>\d{1,19})-(?P<end>\d{1,19})/(?P<total>\d{1,19}|\*)")
SHA256 = re.compile(r"[a-f0-9]{64}")
COMMIT = re.compile(r"[a-f0-9]{40}")
LARGEST = 1 << 50
CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """`size` in bytes, None when the server does not say; `etag` strong ones only, "" for none.

    `sha256` is what the source says of the file (hf:// of a large file, oci://), `revision` a commit or the digest of a
    manifest.
    """

    url: str
    size: int | None
    etag: str = ""
    sha256: str = ""
    revision: str = ""
    ranges: bool = False


@dataclass(frozen=True)
class Body:
    """Bytes from `start` on. A server without ranges starts at 0 whatever was asked. `total` is the whole file's."""

    start: int
    total: int | None
    etag: str
    response: aiohttp.ClientResponse

    async def chunks(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self.response.content.iter_chunked(size):
            yield chunk


def remote_file(source: Source, response: aiohttp.ClientResponse, linked: dict[str, str]) -> RemoteFile:
    """What the first answer says of the file; `linked` are the headers by which Hugging Face says more."""
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    size = byte_count(found["total"] if found else response.headers.get("Content-Length", ""))
    digest, stated = linked.get("X-Linked-Etag", "").strip('"'), byte_count(linked.get("X-Linked-Size", ""))
    commit = linked.get("X-Repo-Commit", "")
    if SHA256.fullmatch(digest) and None not in {size, stated} and size != stated:
        message = f"{source.text}: expected {stated} bytes by the repository, found {size} at {response.url.host}"
        raise SourceError("SizeMismatch", f"{message}; the mirror or cache in between has another file")
    return RemoteFile(
        url=str(response.url),
        size=size,
        etag=strong(response.headers.get("ETag", "")),
        sha256=digest if SHA256.fullmatch(digest) else "",
        revision=commit if COMMIT.fullmatch(commit) else "",
        ranges=response.status == 206 and found is not None,
    )


def body(source: Source, response: aiohttp.ClientResponse, start: int) -> Body:
    """The answer to a request for all bytes from `start`."""
    etag = strong(response.headers.get("ETag", ""))
    if response.status == 200:
        return Body(0, byte_count(response.headers.get("Content-Length", "")), etag, response)
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None or int(found["start"]) != start:
        raise _refused(source, response, f"bytes from {start}")
    return Body(start, byte_count(found["total"]), etag, response)


def span(source: Source, response: aiohttp.ClientResponse, start: int, end: int) -> Body:
    """The answer to a request for the bytes [start, end), which may be the whole file from a server without ranges."""
    etag = strong(response.headers.get("ETag", ""))
    total = byte_count(response.headers.get("Content-Length", ""))
    if response.status == 200 and start == 0 and total == end:
        return Body(0, total, etag, response)
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status == 200 or found is None or (int(found["start"]), int(found["end"]) + 1) != (start, end):
        raise _refused(source, response, f"bytes {start}-{end - 1}")
    return Body(start, byte_count(found["total"]), etag, response)


def _refused(source: Source, response: aiohttp.ClientResponse, expected: str) -> SourceError:
    said = response.headers.get("Content-Range") or f"HTTP {response.status} without Content-Range"
    return SourceError("RangeRefused", f"{source.text}: expected {expected}, found {said[:100]!r}", retryable=True)


def changed(source: Source, expected: str, found: str) -> SourceError:
    """Return the error for a file that became another one while it was read."""
    message = f"{source.text}: expected entity tag {expected}, found {found or 'none'}"
    return SourceError("SourceChanged", f"{message}: the file changed; it is fetched anew")


async def at_most(
    response: aiohttp.ClientResponse, most: int, *, skip: int = 0, into: bytearray | None = None
) -> bytearray:
    """So many bytes of an answer, after those to skip, added to `into`; the rest is left unread."""
    found = bytearray() if into is None else into
    end = len(found) + most
    async for chunk in response.content.iter_chunked(CHUNK):
        found += chunk[skip:]
        skip = max(skip - len(chunk), 0)
        if len(found) >= end:
            break
    del found[end:]
    return found


def byte_count(text: str) -> int | None:
    """A size that a server stated, when it is one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= LARGEST else None


def strong(etag: str) -> str:
    """The entity tag, when it promises the same bytes and is of sane length."""
    return etag if etag.startswith('"') and 2 < len(etag) <= 256 and etag.isprintable() else ""


def if_range(etag: str) -> dict[str, str]:
    """The header that makes a range one of this very file."""
    return {"If-Range": etag} if etag else {}
