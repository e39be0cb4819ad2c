"""A model from its source into the cache: every part verified, then all of them shown under the model's name."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmkube.models.cache import Blob, Cache, Holds
from llmkube.models.collect import ModelName
from llmkube.models.copy import Copy
from llmkube.models.download import Download, tidied
from llmkube.models.errors import SourceError
from llmkube.models.layout import storage_error
from llmkube.models.naming import Verified, named
from llmkube.models.progress import Meter
from llmkube.models.remote import Remote, RemoteFile
from llmkube.models.request import Fetched, FetchRequest, Wanted
from llmkube.models.retry import retried
from llmkube.models.session import open_session
from llmkube.models.slots import Slots
from llmkube.models.source import parse
from llmkube.models.verify import drop_damaged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from llmkube.models.progress import Report
    from llmkube.models.source import Source

T = TypeVar("T")
CHANGES_FOLLOWED = 3
PARTS_AT_ONCE = 4


@dataclass(frozen=True)
class _Part:
    """One file: its number among all, and its digest when the request names it."""

    number: int
    source: Source
    expected: str


@dataclass(frozen=True)
class _Got:
    blob: Blob
    etag: str = ""


async def fetch(request: FetchRequest, report: Report) -> Fetched:
    """The model's verified files in the cache. SourceError; safe to run again, and at once, any number of times."""
    wanted = [Wanted(request.source, request.sha256), *request.beside]
    groups = _groups(wanted)
    cache = Cache(request.cache)
    await asyncio.to_thread(cache.prepare)
    damaged = await asyncio.to_thread(_rechecked, cache, request)
    meter = Meter(sum(map(len, groups)), report)
    if request.size is not None and len(groups) == len(groups[0]) == 1:
        meter.size(0, request.size)
    with cache.hold() as holds:
        async with _connected(request, groups) as remote:
            got = await _Fetch(request, cache, holds, meter, remote, Slots()).all(
                [part for group in groups for part in group]
            )
        found = await named(request, cache, _grouped(wanted, groups, got), meter.waiting)
        return replace(found, damaged=damaged)


def _rechecked(cache: Cache, request: FetchRequest) -> int:
    if not request.recheck:
        return 0
    return drop_damaged(cache, ModelName(request.namespace, request.name), request.sha256)


def _groups(wanted: list[Wanted]) -> list[list[_Part]]:
    """The parts of each source, numbered through. A split model's digest is that of its parts together."""
    groups: list[list[_Part]] = []
    names: set[str] = set()
    for each in wanted:
        sources = parse(each.source).parts()
        number = sum(map(len, groups))
        expected = each.sha256 if len(sources) == 1 else ""
        groups.append([_Part(number + at, source, expected) for at, source in enumerate(sources)])
        if twice := names & {source.filename for source in sources}:
            message = f"source {each.source}: expected a file name of its own, found {min(twice)} twice"
            raise SourceError("InvalidSource", f"{message}; rename one of the files")
        names |= {source.filename for source in sources}
    return groups


@contextlib.asynccontextmanager
async def _connected(request: FetchRequest, groups: list[list[_Part]]) -> AsyncIterator[Remote | None]:
    if not any(part.source.is_remote for group in groups for part in group):
        yield None
        return
    async with open_session(request.policy, ca_bundle=request.ca_bundle) as session:
        yield Remote(session, request.policy, request.credentials, request.hugging_face)


def _grouped(wanted: list[Wanted], groups: list[list[_Part]], got: list[_Got]) -> list[Verified]:
    return [
        Verified(each, {part.source.filename: got[part.number].blob for part in group}, got[group[-1].number].etag)
        for each, group in zip(wanted, groups, strict=True)
    ]


@dataclass(frozen=True)
class _Fetch:
    """One fetch of several files, which share the connections."""

    request: FetchRequest
    cache: Cache
    holds: Holds
    meter: Meter
    remote: Remote | None
    slots: Slots

    async def all(self, parts: list[_Part]) -> list[_Got]:
        """Each part's blob. The first error ends all; what has arrived of the others is kept.

        First all of them are looked at: so the whole size is known, and whether there is room for it.
        """
        looked = await _each(self._looked, [(part,) for part in parts])
        downloads = [each for each in looked if isinstance(each, Download)]
        if len(downloads) > 1:
            await asyncio.to_thread(self._check_space, downloads)
        return await _each(self._got, list(zip(parts, looked, strict=True)))

    async def _looked(self, part: _Part) -> _Got | Download | None:
        """What is there already, or the download that is to be made; None for a file of this machine."""
        if got := await self._there(part):
            self.meter.done(part.number, got.blob.size)
            return got
        return await self._probed(self.remote, part) if self.remote is not None and part.source.is_remote else None

    def _check_space(self, downloads: list[Download]) -> None:
        try:
            self.cache.check_space(sum(each.missing() for each in downloads))
        except OSError as error:
            raise storage_error(self.cache.root, error) from None

    async def _got(self, part: _Part, looked: _Got | Download | None) -> _Got:
        if isinstance(looked, _Got):
            return looked
        got = await self._downloaded(part, looked) if looked is not None else _Got(await self._copied(part))
        self.meter.done(part.number, got.blob.size)
        return got

    async def _there(self, part: _Part) -> _Got | None:
        if not part.expected:
            return None
        await self.holds.add(part.expected)
        blob = await asyncio.to_thread(self.cache.find, part.expected)
        return _Got(await asyncio.to_thread(tidied, self.cache, blob)) if blob is not None else None

    async def _downloaded(self, part: _Part, download: Download) -> _Got:
        """Follows a source that changes under way, a few times."""
        for left in reversed(range(CHANGES_FOLLOWED)):
            try:
                return _Got(await self._blob(download), download.file.etag)
            except SourceError as error:
                if error.reason != "SourceChanged" or not left:
                    raise
            before, download = download, await self._probed(download.remote, part)
            if download.file.etag not in {"", before.file.etag}:
                await before.forget()
        raise AssertionError

    async def _probed(self, remote: Remote, part: _Part) -> Download:
        file = await _probed(remote, part.source)
        self.meter.size(part.number, file.size)
        if part.expected and file.sha256 and part.expected != file.sha256:
            message = (
                f"{part.source.text}: expected sha256 {part.expected}, found {file.sha256} by what the source says"
            )
            raise SourceError("DigestMismatch", f"{message}; correct spec.sha256 or the source")
        return Download(
            remote=remote,
            cache=self.cache,
            source=part.source,
            file=file,
            expected=part.expected or file.sha256,
            moved=lambda length: self.meter.moved(part.number, length),
            slots=self.slots,
        )

    async def _blob(self, download: Download) -> Blob:
        async with self.cache.lock(download.key, self.meter.waiting):
            there = await download.there()
            if there is not None:
                await self.holds.add(there.sha256)
                there = await download.there()  # it may have gone before it was held
            blob = there or await download.run(self.holds)
        return await asyncio.to_thread(tidied, self.cache, blob, download.key)

    async def _copied(self, part: _Part) -> Blob:
        source = part.source
        if source.kind != "file":
            message = f"source {source.text}: expected http, https, hf or file here, found {source.kind}"
            raise SourceError("UnsupportedSource", message)
        path = self.request.policy.check_file(Path(source.path))
        if path.is_file():
            self.meter.size(part.number, path.stat().st_size)
        moved = functools.partial(self.meter.moved, part.number)
        copy = Copy(self.cache, path, source.text, part.expected, moved)
        async with self.cache.lock(copy.key, self.meter.waiting):
            return await copy.run(self.holds)


async def _each(work: Callable[..., Awaitable[T]], arguments: list[tuple[Any, ...]]) -> list[T]:
    """Some at a time; the first error ends all."""
    turns = asyncio.Semaphore(PARTS_AT_ONCE)

    async def one(*values: Any) -> T:
        async with turns:
            return await work(*values)

    failed: list[SourceError] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(*each)) for each in arguments]
    except* SourceError as errors:
        failed.append(_first(errors))
    if failed:
        raise failed[0]
    return [task.result() for task in tasks]


async def _probed(remote: Remote, part: Source) -> RemoteFile:
    found: list[RemoteFile] = []

    async def probe() -> None:
        found.append(await remote.probe(part))

    await retried(probe, lambda: len(found))
    return found[0]


def _first(errors: BaseExceptionGroup[SourceError]) -> SourceError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
