"""A file over HTTP: what it is (`probe`, `first`), and bytes of it (`read`, `append`, `body`, `span`).

Where a redirect led (a CDN) is remembered for the next request, and forgotten when it is refused there.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from llmkube.models import answers
from llmkube.models.answers import Body, RemoteFile, changed
from llmkube.models.errors import SourceError
from llmkube.models.places import Places
from llmkube.models.refusal import check_status
from llmkube.models.source import HUGGING_FACE
from llmkube.models.web import Web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import aiohttp

    from llmkube.models.credentials import Credentials
    from llmkube.models.places import Place
    from llmkube.models.policy import SourcePolicy
    from llmkube.models.source import Source

__all__ = ["Body", "Remote", "RemoteFile", "changed"]

PLACE_SECONDS = 60.0
STALE = frozenset({401, 403, 404, 410})
LINKED = ("X-Linked-Etag", "X-Linked-Size", "X-Repo-Commit")


class Remote:
    """The files of one model, over one session."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        policy: SourcePolicy,
        credentials: Credentials,
        hugging_face: str = HUGGING_FACE,
    ) -> None:
        self._web = Web(session, policy)
        self._places = Places(self._web, credentials, hugging_face)
        self._known: dict[str, Place] = {}

    async def probe(self, source: Source) -> RemoteFile:
        """What the source says of the file, by one byte of it; SourceError when it does not give it."""
        file, _ = await self.first(source, 1)
        return file

    async def first(self, source: Source, length: int) -> tuple[RemoteFile, bytearray]:
        """What the source says of the file, with its first `length` bytes, by one request.

        Fewer bytes when the file is shorter.
        """
        linked: dict[str, str] = {}
        hops: list[str] = []

        def seen(response: aiohttp.ClientResponse) -> None:
            linked.update({name: response.headers[name] for name in LINKED if name in response.headers})
            hops.append(str(response.url))

        place = await self._place(source)
        place.landed = ""
        async with self._get(source, {"Range": f"bytes=0-{length - 1}"}, seen) as response:
            if response.status == 416:
                raise _empty(source)
            await check_status(source, response)
            if response.status == 206:
                answers.body(source, response, 0)
            file = _with_place(source, answers.remote_file(source, response, linked), place)
            place.landed = hops[-1] if len(hops) > 1 else ""
            if source.kind == "hf" and file.revision:
                self._places.commits.setdefault((source.host, source.revision), file.revision)
            found = await answers.at_most(response, length)
            if not found and file.size == 0:
                raise _empty(source)
            return file, found

    async def read(self, source: Source, start: int, length: int, *, etag: str = "") -> bytearray:
        """At most `length` bytes from `start`, fewer at its end; SourceChanged when it is another file by now."""
        found = bytearray()
        await self._read(source, (start, length), etag, found)
        return found

    async def append(self, source: Source, data: bytearray, length: int, *, etag: str = "") -> int:
        """Add at most `length` bytes that follow those in `data`, and say how many came. Else as `read`."""
        start = len(data)
        await self._read(source, (start, length), etag, data)
        return len(data) - start

    async def _read(self, source: Source, place: tuple[int, int], etag: str, into: bytearray) -> None:
        start, length = place
        headers = {"Range": f"bytes={start}-{start + length - 1}", **answers.if_range(etag)}
        async with self._get(source, headers) as response:
            await check_status(source, response)
            _check_etag(source, response, etag)
            if response.status == 206:
                answers.body(source, response, start)
            await answers.at_most(response, length, skip=0 if response.status == 206 else start, into=into)

    @contextlib.asynccontextmanager
    async def body(self, source: Source, start: int, *, etag: str = "") -> AsyncIterator[Body]:
        """The bytes from `start`, if the file is still the one of the ETag; else from 0."""
        headers = {"Range": f"bytes={start}-", **answers.if_range(etag)} if start else {}
        async with self._get(source, headers) as response:
            await check_status(source, response)
            yield answers.body(source, response, start)

    @contextlib.asynccontextmanager
    async def span(self, source: Source, start: int, end: int, *, etag: str = "") -> AsyncIterator[Body]:
        """The bytes [start, end) of the file of this ETag. SourceChanged when it is another one by now, RangeRefused
        (which may heal: another server behind the same name answers) when what comes is not those bytes."""
        headers = {"Range": f"bytes={start}-{end - 1}", **answers.if_range(etag)}
        async with self._get(source, headers) as response:
            await check_status(source, response)
            _check_etag(source, response, etag)
            yield answers.span(source, response, start, end)

    async def _place(self, source: Source) -> Place:
        if source.text not in self._known:
            try:
                async with asyncio.timeout(PLACE_SECONDS):
                    self._known[source.text] = await self._places.of(source)
            except TimeoutError:
                message = f"{source.text}: expected the registry to say where it is in {PLACE_SECONDS:.0f} s"
                raise SourceError("HostUnreachable", f"{message}, found no end; it is tried again") from None
        return self._known[source.text]

    @contextlib.asynccontextmanager
    async def _get(
        self,
        source: Source,
        asked: Mapping[str, str],
        seen: Callable[[aiohttp.ClientResponse], None] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer after redirects. What is refused by age, a remembered redirect or a token, is asked once more."""
        place = await self._place(source)

        def answer() -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
            return self._web.get(
                source.text, place.landed or place.url, lambda url: place.headers(url, asked), seen=seen
            )

        async with contextlib.AsyncExitStack() as stack:
            response = await stack.enter_async_context(answer())
            if response.status in STALE and (place.forget() or await place.renew(response)):
                await stack.aclose()
                response = await stack.enter_async_context(answer())
            yield response


def _with_place(source: Source, file: RemoteFile, place: Place) -> RemoteFile:
    """What is known by another way than the answer itself: a manifest says size and digest of a blob."""
    if None not in {place.size, file.size} and place.size != file.size:
        message = f"{source.text}: expected {place.size} bytes by the manifest, found {file.size}"
        raise SourceError("SizeMismatch", f"{message}; the registry is broken, push the artifact again")
    return replace(
        file,
        size=place.size if file.size is None else file.size,
        sha256=place.sha256 or file.sha256,
        revision=place.revision or file.revision,
    )


def _check_etag(source: Source, response: aiohttp.ClientResponse, expected: str) -> None:
    found = answers.strong(response.headers.get("ETag", ""))
    if expected and found != expected:
        raise answers.changed(source, expected, found)


def _empty(source: Source) -> SourceError:
    return SourceError("Truncated", f"{source.text}: expected a GGUF file, found an empty file; upload it again")
