"""A file over HTTP: what it is (`probe`), and its bytes from an offset on (`body`).

Redirects are followed by hand: each hop is checked against the policy and gets credentials only at the source's origin.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import aiohttp

from llmkube.models.errors import SourceError
from llmkube.models.source import HUGGING_FACE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from llmkube.models.credentials import Credentials
    from llmkube.models.policy import SourcePolicy
    from llmkube.models.source import Source

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_HOPS = 10
CONTENT_RANGE = re.compile(r"bytes (?P<start>\d{1,19})-(?P<end>\d{1,19})/(?P<total>\d{1,19}|\*)")
SHA256 = re.compile(r"[a-f0-9]{64}")
COMMIT = re.compile(r"[a-f0-9]{40}")
LARGEST = 1 << 50
REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "NotFound", 429: "TooManyRequests"}
ADVICE = {
    401: "give credentials in sourceSecretRef (or HF_TOKEN)",
    403: "check that the credentials may read it (a gated repository wants its licence accepted first)",
    404: "check the path and the revision",
    429: "it is tried again later",
}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """`size` in bytes, None when the server does not say; `etag` strong ones only, "" for none."""

    url: str
    size: int | None
    etag: str = ""
    sha256: str = ""
    revision: str = ""
    ranges: bool = False


@dataclass(frozen=True)
class Body:
    """Bytes from `start` on. A server without ranges starts at 0 whatever was asked."""

    start: int
    total: int | None
    etag: str
    response: aiohttp.ClientResponse

    async def chunks(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self.response.content.iter_chunked(size):
            yield chunk


@dataclass(frozen=True)
class Remote:
    session: aiohttp.ClientSession
    policy: SourcePolicy
    credentials: Credentials
    hugging_face: str = HUGGING_FACE

    async def probe(self, source: Source) -> RemoteFile:
        """What the source says of the file, by one byte of it; SourceError when it does not give it."""
        seen: dict[str, str] = {}
        async with self._get(source, {"Range": "bytes=0-0"}, seen) as response:
            if response.status == 416:
                raise SourceError("Truncated", f"{source.text}: expected a GGUF file, found an empty file")
            _check_status(source, response)
            found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            size = _size(found["total"] if found else response.headers.get("Content-Length", ""))
            linked = seen.get("X-Linked-Etag", "").strip('"')
            return RemoteFile(
                url=str(response.url),
                size=size,
                etag=strong(response.headers.get("ETag", "")),
                sha256=linked if SHA256.fullmatch(linked) else "",
                revision=_commit(seen.get("X-Repo-Commit", "")),
                ranges=response.status == 206 and found is not None,
            )

    async def read(self, source: Source, start: int, length: int, *, etag: str = "") -> bytes:
        """At most `length` bytes from `start`; fewer at the end of the file."""
        headers = {"Range": f"bytes={start}-{start + length - 1}", **_if_range(etag)}
        async with self._get(source, headers, {}) as response:
            _check_status(source, response)
            skipped = 0 if response.status == 206 else start
            found = await _read(response, skipped + length)
            return found[skipped:]

    @contextlib.asynccontextmanager
    async def body(self, source: Source, start: int, *, etag: str = "") -> AsyncIterator[Body]:
        """The bytes from `start`, if the file is still the one of the ETag; else from 0."""
        headers = {"Range": f"bytes={start}-", **_if_range(etag)} if start else {}
        async with self._get(source, headers, {}) as response:
            _check_status(source, response)
            yield _body(source, response, start, strong(response.headers.get("ETag", "")))

    @contextlib.asynccontextmanager
    async def span(self, source: Source, start: int, end: int, *, etag: str = "") -> AsyncIterator[Body]:
        """The bytes [start, end) of the file of this ETag. SourceChanged when it is another one by now, RangeRefused
        (which may heal: another server of the same name answers) when what comes is not those bytes."""
        headers = {"Range": f"bytes={start}-{end - 1}", **_if_range(etag)}
        async with self._get(source, headers, {}) as response:
            _check_status(source, response)
            found = strong(response.headers.get("ETag", ""))
            if etag and found != etag:
                raise changed(source, etag, found)
            yield _span(source, response, (start, end), found)

    @contextlib.asynccontextmanager
    async def _get(
        self, source: Source, headers: Mapping[str, str], seen: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer after redirects; `seen` collects what Hugging Face says on the way."""
        origin = url = source.url(self.hugging_face)
        try:
            for _ in range(MOST_HOPS):
                async with self._hop(source, url, origin, headers) as response:
                    seen |= {name: value for name, value in response.headers.items() if name.title() in LINKED}
                    if response.status not in REDIRECTS:
                        yield response
                        return
                    url = _next(source, url, response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(source, url, error) from None
        raise SourceError("TooManyRedirects", f"{source.text}: expected at most {MOST_HOPS} redirects, found more")

    @contextlib.asynccontextmanager
    async def _hop(
        self, source: Source, url: str, origin: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        self._check_literal(url)
        own = self.credentials.headers(url, origin=origin, is_hugging_face=source.kind == "hf")
        async with self.session.get(url, headers={**headers, **own}, allow_redirects=False) as response:
            yield response

    def _check_literal(self, url: str) -> None:
        """aiohttp resolves names only: an address that stands in the URL is checked here."""
        host = urlsplit(url).hostname or ""
        with contextlib.suppress(ValueError):
            self.policy.check_host(host, [str(ipaddress.ip_address(host))])


LINKED = frozenset({"X-Linked-Etag", "X-Linked-Size", "X-Repo-Commit"})


def _next(source: Source, url: str, response: aiohttp.ClientResponse) -> str:
    target = urljoin(url, response.headers.get("Location", ""))
    scheme = urlsplit(target).scheme
    if scheme not in {"http", "https"} or (scheme == "http" and urlsplit(url).scheme == "https"):
        message = f"{source.text}: expected a redirect to https, found one to {scheme or 'nothing'}"
        raise SourceError("SourceDenied", message)
    return target


def _unreachable(source: Source, url: str, error: Exception) -> SourceError:
    host = urlsplit(url).netloc
    cause = error.__cause__ if isinstance(error.__cause__, SourceError) else None
    if cause is not None:
        return cause
    said = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        message = f"{source.text}: the certificate of {host} is not trusted ({said[:200]}); name its CA in caBundleRef"
        return SourceError("CertificateNotTrusted", message)
    message = f"{source.text}: host {host}: expected an answer, found {said[:200]}; it is tried again"
    return SourceError("HostUnreachable", message)


def _check_status(source: Source, response: aiohttp.ClientResponse) -> None:
    if response.status in {200, 206}:
        return
    status = response.status
    reason = REASONS.get(status) or ("ServerError" if status >= 500 or status in {408, 425} else "UnexpectedStatus")
    found = f"HTTP {status} {response.reason or ''}".strip()
    advice = ADVICE.get(status) or ("it is tried again" if reason == "ServerError" else "check the address")
    raise SourceError(reason, f"{source.text}: expected the file, found {found} from {response.url.host}; {advice}")


def changed(source: Source, expected: str, found: str) -> SourceError:
    """Return the error for a file that became another one while it was read."""
    message = f"{source.text}: expected entity tag {expected}, found {found or 'none'}"
    return SourceError("SourceChanged", f"{message}: the file changed; it is fetched anew")


def _span(source: Source, response: aiohttp.ClientResponse, asked: tuple[int, int], etag: str) -> Body:
    start, end = asked
    total = _size(response.headers.get("Content-Length", ""))
    if response.status == 200 and start == 0 and total == end:
        return Body(0, total, etag, response)
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status == 200 or found is None or (int(found["start"]), int(found["end"]) + 1) != asked:
        said = response.headers.get("Content-Range") or f"HTTP {response.status} without Content-Range"
        message = f"{source.text}: expected bytes {start}-{end - 1}, found {said}"
        raise SourceError("RangeRefused", message, retryable=True)
    return Body(start, _size(found["total"]), etag, response)


def _body(source: Source, response: aiohttp.ClientResponse, start: int, etag: str) -> Body:
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status == 200:
        return Body(0, _size(response.headers.get("Content-Length", "")), etag, response)
    if found is None or int(found["start"]) != start:
        said = response.headers.get("Content-Range", "no Content-Range")
        raise SourceError("RangeRefused", f"{source.text}: expected bytes from {start}, found {said}", retryable=True)
    return Body(start, _size(found["total"]), etag, response)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    found = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        found += chunk
        if len(found) >= most:
            break
    return bytes(found[:most])


def _size(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= LARGEST else None


def _commit(text: str) -> str:
    return text if COMMIT.fullmatch(text) else ""


def strong(etag: str) -> str:
    """The entity tag, when it promises the same bytes and is of sane length."""
    return etag if etag.startswith('"') and 2 < len(etag) <= 256 and etag.isprintable() else ""


def _if_range(etag: str) -> dict[str, str]:
    return {"If-Range": etag} if etag else {}
