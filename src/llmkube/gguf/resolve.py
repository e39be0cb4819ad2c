"""What a source has, in seconds and without the download: its size, its validators, and the facts of its header.

It reads a growing prefix of the file by Range requests, of every part where a model is split.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmkube.gguf.errors import GGUFError, NeedMore
from llmkube.gguf.facts import ModelFacts, facts
from llmkube.gguf.reader import FIRST_READ, Header, next_read, parse, read_file, truncated
from llmkube.gguf.sidecar import licensed
from llmkube.models.errors import SourceError
from llmkube.models.remote import Remote, RemoteFile
from llmkube.models.session import open_session
from llmkube.models.source import HUGGING_FACE, Source
from llmkube.models.source import parse as parse_source

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llmkube.models.credentials import Credentials
    from llmkube.models.policy import SourcePolicy


FIRST_READ_OF_A_PART = 64 * 1024
"""The parts of a split model after the first have no tokenizer."""
PARTS_AT_ONCE = 8
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Resolved:
    """`size_bytes` of all parts, None when the server does not say. `facts` None when only a pod can look (pvc://)."""

    facts: ModelFacts | None
    size_bytes: int | None
    etag: str | None = None
    sha256: str | None = None
    revision: str | None = None
    files: int = 1


@dataclass(frozen=True, slots=True)
class _Part:
    file: RemoteFile
    header: Header


async def resolve(
    source: str,
    *,
    policy: SourcePolicy,
    credentials: Credentials,
    licences: tuple[str, ...] = (),
    timeout: float = 60.0,
    hugging_face: str = HUGGING_FACE,
    ca_bundle: Path | str | None = None,
) -> Resolved:
    """SourceError when the source does not give the file; GGUFError when what it gives is no complete GGUF.

    `licences`: those that a policy allows; empty without one.
    """
    parsed = parse_source(source)
    try:
        async with asyncio.timeout(timeout):
            if parsed.is_remote:
                async with open_session(policy, ca_bundle=ca_bundle) as session:
                    return await _remote(Remote(session, policy, credentials, hugging_face), parsed, licences)
            return await _near(parsed, policy, licences)
    except TimeoutError:
        message = f"{source}: expected the header within {timeout:.0f} s, found none; it is tried again"
        raise SourceError("HostUnreachable", message) from None


async def _remote(remote: Remote, source: Source, licences: tuple[str, ...]) -> Resolved:
    """The first part answers before the others are asked: most errors are the same for all."""
    first, *others = source.parts()
    parts = [await _remote_part(remote, first, FIRST_READ)]
    at_once = asyncio.Semaphore(PARTS_AT_ONCE)

    async def part(other: Source) -> _Part:
        async with at_once:
            return await _remote_part(remote, other, FIRST_READ_OF_A_PART)

    failed: list[Exception] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part(other)) for other in others]
    except* (SourceError, GGUFError) as errors:
        failed += errors.exceptions
    if failed:
        raise failed[0]
    found = _joined(source, parts + [task.result() for task in tasks])

    async def start(sidecar: Source, length: int) -> bytearray:
        _, data = await remote.first(sidecar, length)
        return data

    return await _licensed(found, source, licences, start)


async def _near(source: Source, policy: SourcePolicy, licences: tuple[str, ...]) -> Resolved:
    """A source that is no download: a file of this machine, or of a claim that only a pod sees."""
    if source.kind == "pvc":
        return Resolved(None, None)
    if source.kind == "file":
        found = await asyncio.to_thread(_local, source, policy)
        return await _licensed(found, source, licences, lambda sidecar, length: _local_start(sidecar, length, policy))
    message = f"{source.text}: expected http, https, hf, file or pvc, found {source.kind}"
    raise SourceError("UnsupportedSource", message)


async def _licensed(
    found: Resolved,
    source: Source,
    licences: tuple[str, ...],
    read: Callable[[Source, int], Awaitable[bytes | bytearray]],
) -> Resolved:
    facts = found.facts and await licensed(found.facts, source, licences, read)
    return replace(found, facts=facts)


async def _local_start(source: Source, length: int, policy: SourcePolicy) -> bytes:
    """The first bytes of a file that may be missing."""

    def read() -> bytes:
        with policy.check_file(Path(source.path)).open("rb") as file:
            return file.read(length)

    try:
        return await asyncio.to_thread(read)
    except OSError:
        raise SourceError("NotFound", f"{source.text}: expected a file that can be read, found none") from None


async def _remote_part(remote: Remote, source: Source, first_read: int) -> _Part:
    file, data = await remote.first(source, first_read)
    return _complete(source, _Part(file, await _header(remote, source, file, data)))


async def _header(remote: Remote, source: Source, file: RemoteFile, data: bytearray) -> Header:
    """By a prefix that grows until it has all of it."""
    prefix = _Prefix(source, data)
    size, found = file.size, await prefix.parsed()
    while isinstance(found, NeedMore):
        wanted = next_read(source.text, found, found=len(data), size=size)
        if not file.ranges:
            return await _streamed(remote, source, wanted)
        came = await remote.append(source, data, wanted - len(data), etag=file.etag)
        size = size if came else len(data)
        found = await prefix.parsed()
    return found


async def _streamed(remote: Remote, source: Source, wanted: int) -> Header:
    """From a server without ranges, which would begin anew each time: one more answer, as far as the header goes."""
    prefix = _Prefix(source, bytearray())
    async with remote.body(source, 0) as body:
        async for chunk in body.chunks(CHUNK):
            prefix.data += chunk
            if len(prefix.data) >= wanted:
                found = await prefix.parsed()
                if isinstance(found, Header):
                    return found
                wanted = next_read(source.text, found, found=len(prefix.data), size=body.total)
    found = await prefix.parsed()
    if isinstance(found, NeedMore):
        raise truncated(source.text, found.at_least, len(prefix.data))
    return found


@dataclass(slots=True)
class _Prefix:
    """The first bytes of a file, and how far its tokenizer was read."""

    source: Source
    data: bytearray
    skipped: dict[int, tuple[int, int]] = field(default_factory=dict)

    async def parsed(self) -> Header | NeedMore:
        """In a thread: tokenizers are long."""
        try:
            return await asyncio.to_thread(parse, self.data, self.skipped)
        except NeedMore as more:
            return more
        except GGUFError as error:
            raise GGUFError(error.reason, f"{self.source.text}: {error.message}") from None


def _complete(source: Source, part: _Part) -> _Part:
    """A part whose file holds all the bytes that its header declares."""
    if part.file.size is not None and part.header.file_bytes > part.file.size:
        raise truncated(source.text, part.header.file_bytes, part.file.size)
    return part


def _joined(source: Source, parts: list[_Part]) -> Resolved:
    """Facts by the first part's metadata and the tensors of all parts."""
    first = parts[0]
    sizes = [part.file.size for part in parts]
    tensors = tuple(tensor for part in parts for tensor in part.header.tensors)
    found = _named(source, replace(first.header, tensors=tensors))
    _check_count(source, found, len(parts))
    for number, part in enumerate(parts[1:], 2):
        _check_part(source.parts()[number - 1], part.header, number, len(parts))
    _check_tensors(source, first.header, len(tensors))
    return Resolved(
        facts=found,
        size_bytes=sum(size for size in sizes if size is not None) if None not in sizes else None,
        etag=first.file.etag or None,
        sha256=first.file.sha256 or None if len(parts) == 1 else None,
        revision=first.file.revision or None,
        files=len(parts),
    )


def _named(source: Source, header: Header) -> ModelFacts:
    try:
        return facts(header)
    except GGUFError as error:
        raise GGUFError(error.reason, f"{source.text}: {error.message}") from None


def _check_count(source: Source, found: ModelFacts, files: int) -> None:
    """The engine finds the parts of a split model by their names: another name, and they are missing."""
    stated = found.split_count or 1
    if stated != files:
        message = f"{source.text}: expected a name for {stated} files, as its header says, found one for {files}"
        raise GGUFError("Malformed", f"{message}; name the first part, NAME-00001-of-{stated:05d}.gguf")


def _check_part(source: Source, header: Header, number: int, count: int) -> None:
    """A later part says itself which it is; a file of that name may be any."""
    stated = header.metadata.get("split.count")
    at = header.metadata.get("split.no")
    if (at, stated) == (number - 1, count):
        return
    is_part = isinstance(at, int) and isinstance(stated, int)
    found = f"part {int(at or 0) + 1} of {stated}" if is_part else "no part of a split model"
    message = f"{source.text}: expected part {number} of {count}, found {found}; upload all parts of one model again"
    raise GGUFError("Malformed", message)


def _check_tensors(source: Source, header: Header, found: int) -> None:
    stated = header.metadata.get("split.tensors.count")
    if isinstance(stated, int) and not isinstance(stated, bool) and stated != found:
        message = f"{source.text}: expected {stated} tensors in all parts, found {found}; upload all parts again"
        raise GGUFError("Malformed", message)


def _local(source: Source, policy: SourcePolicy) -> Resolved:
    return _joined(source, [_local_part(part, policy) for part in source.parts()])


def _local_part(part: Source, policy: SourcePolicy) -> _Part:
    try:
        path = policy.check_file(Path(part.path))
        return _complete(part, _Part(RemoteFile(part.text, path.stat().st_size), read_file(path)))
    except OSError as error:
        raise _unreadable(part, error) from None


def _unreadable(part: Source, error: OSError) -> SourceError:
    if isinstance(error, IsADirectoryError):
        return SourceError("NotAFile", f"{part.text}: expected a file, found a directory; name the .gguf file in it")
    reason = "Forbidden" if isinstance(error, PermissionError) else "NotFound"
    return SourceError(reason, f"{part.text}: expected a file that can be read, found {error.strerror}")
