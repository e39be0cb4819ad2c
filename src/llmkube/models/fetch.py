"""A model from its source into the cache: every part verified, then all of them shown under the model's name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llmkube.models.cache import Blob, Cache, key_of, model_digest, storage_error
from llmkube.models.credentials import Credentials
from llmkube.models.download import Download, copied, retried
from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy
from llmkube.models.remote import Remote, RemoteFile
from llmkube.models.session import open_session
from llmkube.models.source import HUGGING_FACE, parse

if TYPE_CHECKING:
    from llmkube.models.source import Source

CHANGES_FOLLOWED = 3
RATE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes here, bytes in all (None: the source does not say), and the rate of the last seconds in bytes/s."""

    bytes: int
    total: int | None
    rate: float
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """`sha256` is the model's digest when the spec names one; `size` in bytes of all parts when it is known."""

    source: str
    cache: Path
    namespace: str
    name: str
    sha256: str = ""
    size: int | None = None
    policy: SourcePolicy = field(default_factory=SourcePolicy)
    credentials: Credentials = field(default_factory=Credentials)
    hugging_face: str = HUGGING_FACE
    ca_bundle: Path | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """`path` is relative to the cache's root: the model's first file."""

    sha256: str
    bytes: int
    path: str
    etag: str
    files: int


Report = Callable[[Progress], None]


class _Meter:
    """Progress over all parts, and how fast it goes."""

    def __init__(self, total: int | None, report: Report) -> None:
        self._total, self._report = total, report
        self._done = self._current = 0
        self._marks: list[tuple[float, int]] = []

    def moved(self, length: int, size: int | None) -> None:
        if self._total is None and self._done == 0:
            self._total = size
        self._current = length
        self._tell(waiting=False)

    def part_done(self, size: int) -> None:
        self._done, self._current = self._done + size, 0
        self._tell(waiting=False)

    def waiting(self) -> None:
        self._tell(waiting=True)

    def _tell(self, *, waiting: bool) -> None:
        now, count = time.monotonic(), self._done + self._current
        self._marks = [*[(at, seen) for at, seen in self._marks if now - at < RATE_SECONDS][-200:], (now, count)]
        (since, first), elapsed = self._marks[0], now - self._marks[0][0]
        rate = (count - first) / elapsed if elapsed > 0 and since < now else 0.0
        self._report(Progress(count, self._total, max(rate, 0.0), waiting))


async def fetch(request: FetchRequest, report: Report) -> Fetched:
    """The model's verified files in the cache. SourceError; safe to run again, and at once, any number of times."""
    source = parse(request.source)
    parts = source.parts()
    cache = Cache(request.cache)
    await asyncio.to_thread(cache.prepare)
    meter = _Meter(request.size, report)
    if len(parts) == 1 and request.sha256 and (blob := cache.find(request.sha256)):
        meter.part_done(blob.size)
        return await asyncio.to_thread(_finished, request, cache, parts, [blob], "")
    return await _fetched(request, cache, parts, meter)


async def _fetched(request: FetchRequest, cache: Cache, parts: tuple[Source, ...], meter: _Meter) -> Fetched:
    expected = request.sha256 if len(parts) == 1 else ""
    blobs: list[Blob] = []
    etag = ""
    if parts[0].is_remote:
        async with open_session(request.policy, ca_bundle=request.ca_bundle) as session:
            remote = Remote(session, request.policy, request.credentials, request.hugging_face)
            for part in parts:
                blob, etag = await _remote_part(remote, cache, part, expected, meter)
                blobs.append(blob)
                meter.part_done(blob.size)
    else:
        for part in parts:
            blobs.append(await _local_part(request, cache, part, expected, meter))
            meter.part_done(blobs[-1].size)
    return await asyncio.to_thread(_finished, request, cache, parts, blobs, etag)


async def _remote_part(remote: Remote, cache: Cache, part: Source, expected: str, meter: _Meter) -> tuple[Blob, str]:
    """One part; the source may change under way a few times, then it is an error."""
    for left in reversed(range(CHANGES_FOLLOWED)):
        file = await _probed(remote, part)
        try:
            return await _one_part(
                Download(remote, cache, part, file, expected or file.sha256, meter.moved), meter
            ), file.etag
        except SourceError as error:
            if error.reason != "SourceChanged" or not left:
                raise
    raise AssertionError


async def _probed(remote: Remote, part: Source) -> RemoteFile:
    found: list[RemoteFile] = []

    async def probe() -> None:
        found.append(await remote.probe(part))

    await retried(probe, lambda: len(found))
    return found[0]


async def _one_part(download: Download, meter: _Meter) -> Blob:
    cache, file = download.cache, download.file
    key = key_of(download.source.text, file.etag, file.size)
    async with cache.lock(download.key, meter.waiting):
        there = cache.find(download.expected) if download.expected else cache.known(key) if file.etag else None
        if there is not None:
            return there
        blob = await download.run()
        if file.etag:
            await asyncio.to_thread(cache.remember, key, blob.sha256)
        return blob


async def _local_part(request: FetchRequest, cache: Cache, part: Source, expected: str, meter: _Meter) -> Blob:
    if part.kind != "file":
        message = f"source {part.text}: expected http, https, hf or file here, found {part.kind}"
        raise SourceError("UnsupportedSource", message)
    path = request.policy.check_file(Path(part.path))
    async with cache.lock(key_of(path), meter.waiting):
        return await asyncio.to_thread(copied, cache, path, expected=expected, source=part.text, moved=meter.moved)


def _finished(request: FetchRequest, cache: Cache, parts: tuple[Source, ...], blobs: list[Blob], etag: str) -> Fetched:
    digest = model_digest([blob.sha256 for blob in blobs])
    if request.sha256 and digest != request.sha256:
        message = f"{request.source}: expected sha256 {request.sha256} (of its parts' digests), found {digest}"
        raise SourceError("DigestMismatch", f"{message}; correct spec.sha256 or the source")
    files = {part.filename: blob for part, blob in zip(parts, blobs, strict=True)}
    try:
        path = cache.link(request.namespace, request.name, digest, files)
    except OSError as error:
        raise storage_error(request.cache, error) from None
    return Fetched(digest, sum(blob.size for blob in blobs), path, etag, len(blobs))
