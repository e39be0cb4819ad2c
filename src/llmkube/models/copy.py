"""A file of this machine (or of a claim that is mounted) into the cache, with the checks of a download."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import TYPE_CHECKING

from llmkube.models.download import commit
from llmkube.models.errors import SourceError
from llmkube.models.layout import storage_error
from llmkube.models.partial import Identity, Partial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmkube.models.cache import Blob, Cache, Holds

CHUNK = 4 * 1024 * 1024


async def copied(
    cache: Cache,
    path: Path,
    partial_key: str,
    *,
    source: str,
    expected: str,
    holds: Holds,
    moved: Callable[[int], None],
) -> Blob:
    """The verified blob, held. SourceError; nothing is kept of a copy that was broken off."""
    stop = threading.Event()
    place = cache.layout.partial(partial_key)
    copying = asyncio.ensure_future(asyncio.to_thread(_copied, cache, path, place, source, moved, stop))
    try:
        partial, digest = await asyncio.shield(copying)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([copying])
        raise
    if expected and digest != expected:
        await asyncio.to_thread(partial.discard)
        message = f"{source}: expected sha256 {expected}, found {digest}"
        raise SourceError("DigestMismatch", f"{message}; correct spec.sha256 or the source")
    await holds.add(digest)
    return await asyncio.to_thread(commit, cache, partial, digest)


def _copied(
    cache: Cache, path: Path, place: Path, source: str, moved: Callable[[int], None], stop: threading.Event
) -> tuple[Partial, str]:
    try:
        size = path.stat().st_size
        cache.check_space(size)
        partial = Partial(place, Identity(source, path.name, size))
        try:
            partial.restart()
            partial.reserve()
            return partial, _filled(path, partial, moved, stop)
        except BaseException:
            partial.discard()
            raise
    except FileNotFoundError:
        raise SourceError("NotFound", f"{source}: expected a file, found nothing at {path}") from None
    except IsADirectoryError:
        raise SourceError("NotGGUF", f"{source}: expected a GGUF file, found a directory at {path}") from None
    except OSError as error:
        raise storage_error(cache.root, error) from None


def _filled(path: Path, partial: Partial, moved: Callable[[int], None], stop: threading.Event) -> str:
    sha256, at = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            if stop.is_set():
                raise SourceError("Interrupted", f"{partial.identity.source}: interrupted")
            partial.write(at, [chunk])
            sha256.update(chunk)
            at += len(chunk)
            moved(at)
    if at != partial.identity.size:
        message = f"{partial.identity.source}: expected {partial.identity.size} bytes, found {at}"
        raise SourceError("SizeMismatch", f"{message}: the file changed while it was copied")
    return sha256.hexdigest()
