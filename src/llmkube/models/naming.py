"""Verified files get their model's name (or a pin's), and what they replace goes."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.models.cache import model_digest, model_lock, write_atomically
from llmkube.models.collect import SHORT, ModelName, after_fetch
from llmkube.models.errors import SourceError
from llmkube.models.inventory import inventory
from llmkube.models.layout import storage_error
from llmkube.models.removal import remove
from llmkube.models.request import Fetched

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmkube.models.cache import Blob, Cache
    from llmkube.models.request import FetchRequest, Wanted


@dataclass(frozen=True)
class Verified:
    """A source and the blobs that it came to, by file name and in order."""

    wanted: Wanted
    files: dict[str, Blob]
    etag: str

    @property
    def digest(self) -> str:
        return model_digest([blob.sha256 for blob in self.files.values()])

    def check(self) -> None:
        """SourceError when the files together are not what was asked for."""
        if self.wanted.sha256 and self.digest != self.wanted.sha256:
            message = f"{self.wanted.source}: expected sha256 {self.wanted.sha256} (of its parts' digests)"
            raise SourceError("DigestMismatch", f"{message}, found {self.digest}; correct spec.sha256 or the source")


async def named(request: FetchRequest, cache: Cache, verified: list[Verified], waiting: Callable[[], None]) -> Fetched:
    """Link (or pin) the files of all sources together; the first source is the model. The caller holds the blobs."""
    for each in verified:
        each.check()
    model = verified[0]
    if request.accept is not None:
        await asyncio.to_thread(request.accept, [cache.blob(blob.sha256) for blob in model.files.values()])
    name = ModelName(request.namespace, request.name)
    files = {filename: blob for each in verified for filename, blob in each.files.items()}
    removed = 0
    try:
        if request.pinned:
            async with cache.lock(f"pin-{request.name}", waiting):
                await asyncio.to_thread(_pin, request, cache, files)
        else:
            async with cache.lock(model_lock(name), waiting):
                await asyncio.to_thread(cache.link, name, model.digest, files)
            removed = await asyncio.to_thread(_collected, request, cache, name, model.digest)
    except OSError as error:
        raise storage_error(cache.root, error) from None
    return _fetched(verified, lambda filename: _path(request, cache, model.digest, filename, files), removed)


def _fetched(verified: list[Verified], path: Callable[[str], str], removed: int) -> Fetched:
    model, *others = verified
    return Fetched(
        sha256=model.digest,
        bytes=sum(blob.size for blob in model.files.values()),
        path=path(next(iter(model.files))),
        etag=model.etag,
        files=len(model.files),
        beside=tuple(path(next(iter(each.files))) for each in others),
        removed=removed,
    )


def _path(request: FetchRequest, cache: Cache, digest: str, filename: str, files: dict[str, Blob]) -> str:
    """Relative to the cache's root: what is pinned has no name but its blob's."""
    if request.pinned:
        return str(cache.blob(files[filename].sha256).relative_to(cache.root))
    links = cache.layout.links(ModelName(request.namespace, request.name), digest[:SHORT])
    return str((links / filename).relative_to(cache.root))


def _pin(request: FetchRequest, cache: Cache, files: dict[str, Blob]) -> None:
    source = request.source.split("?")[0]  # a query may be a signature
    told = {"source": source, "files": {name: blob.sha256 for name, blob in files.items()}}
    write_atomically(cache.layout.pin(request.name), json.dumps(told))


def _collected(request: FetchRequest, cache: Cache, name: ModelName, digest: str) -> int:
    """Bytes that went. What is in use by somebody else at this moment stays, and goes another time."""
    if request.keep is None:
        return 0
    keep = {digest[:SHORT], *(each[:SHORT] for each in request.keep)}
    return remove(cache, after_fetch(inventory(cache), name, keep=keep, now=time.time())).bytes
