"""What a source has, in seconds and without the download: its size, its validators, and the facts of its header.

It reads a growing prefix of the file by Range requests, of every part where a model is split.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmkube.gguf.errors import GGUFError, NeedMore
from llmkube.gguf.facts import ModelFacts, facts
from llmkube.gguf.reader import FIRST_READ, Header, parse, read_file, truncated
from llmkube.models.errors import SourceError
from llmkube.models.remote import Remote, RemoteFile
from llmkube.models.session import open_session
from llmkube.models.source import HUGGING_FACE, Source
from llmkube.models.source import parse as parse_source

if TYPE_CHECKING:
    from llmkube.models.credentials import Credentials
    from llmkube.models.policy import SourcePolicy


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
    timeout: float = 60.0,
    hugging_face: str = HUGGING_FACE,
) -> Resolved:
    """SourceError when the source does not give the file; GGUFError when what it gives is no complete GGUF."""
    parsed = parse_source(source)
    try:
        async with asyncio.timeout(timeout):
            return await _resolve(parsed, policy, credentials, hugging_face)
    except TimeoutError:
        message = f"{source}: expected the header within {timeout:.0f} s, found none; it is tried again"
        raise SourceError("HostUnreachable", message) from None


async def _resolve(source: Source, policy: SourcePolicy, credentials: Credentials, hugging_face: str) -> Resolved:
    if source.kind == "pvc":
        return Resolved(None, None)
    if source.kind == "file":
        return await asyncio.to_thread(_local, source, policy)
    if not source.is_remote:
        message = f"{source.text}: expected http, https, hf, file or pvc, found {source.kind}"
        raise SourceError("UnsupportedSource", message)
    async with open_session(policy) as session:
        parts = await _remote_parts(Remote(session, policy, credentials, hugging_face), source.parts())
    return _joined(parts)


async def _remote_parts(remote: Remote, sources: tuple[Source, ...]) -> list[_Part]:
    """The first part answers before the others are asked: most errors are the same for all."""
    return [await _remote_part(remote, source) for source in sources]


async def _remote_part(remote: Remote, source: Source) -> _Part:
    file = await remote.probe(source)
    header = await _header(remote, source, file)
    if file.size is not None and header.file_bytes > file.size:
        message = f"{source.text}: expected {header.file_bytes} bytes by its header, found {file.size}"
        raise GGUFError("Truncated", f"{message}: the file at the source is incomplete")
    return _Part(file, header)


async def _header(remote: Remote, source: Source, file: RemoteFile) -> Header:
    """By a prefix that doubles: headers are 1 to 16 MiB."""
    data, wanted = b"", FIRST_READ
    while True:
        more = await remote.read(source, len(data), wanted - len(data), etag=file.etag)
        data += more
        try:
            return parse(data)
        except NeedMore as need:
            if not more or (file.size is not None and len(data) >= file.size):
                raise truncated(source.text, need.at_least, len(data)) from None
            wanted = max(need.at_least, 2 * len(data))
        except GGUFError as error:
            raise GGUFError(error.reason, f"{source.text}: {error.message}") from None


def _joined(parts: list[_Part]) -> Resolved:
    """Facts of the first part, with what all parts hold."""
    first = parts[0]
    sizes = [part.file.size for part in parts]
    is_split = len(parts) > 1
    return Resolved(
        facts=_whole(facts(first.header), [part.header for part in parts]),
        size_bytes=sum(size for size in sizes if size is not None) if None not in sizes else None,
        etag=first.file.etag or None,
        sha256=None if is_split else first.file.sha256 or None,
        revision=first.file.revision or None,
        files=len(parts),
    )


def _whole(first: ModelFacts, headers: list[Header]) -> ModelFacts:
    tensors = [tensor for header in headers for tensor in header.tensors]
    parameters, weights = sum(one.elements for one in tensors), sum(one.size for one in tensors)
    return replace(first, parameters=parameters, weights_bytes=weights)


def _local(source: Source, policy: SourcePolicy) -> Resolved:
    parts = []
    for part in source.parts():
        path = policy.check_file(Path(part.path))
        try:
            file, header = RemoteFile(part.text, path.stat().st_size), read_file(path)
        except OSError as error:
            message = f"{part.text}: expected a file that can be read, found {error.strerror}"
            raise SourceError("NotFound", message) from None
        if file.size is not None and header.file_bytes > file.size:
            raise truncated(part.text, header.file_bytes, file.size)
        parts.append(_Part(file, header))
    return _joined(parts)
