"""Reads blobs again, to find those that are not any more what their name says. Blocking."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from llmkube.models.cache import blob_lock
from llmkube.models.inventory import inventory
from llmkube.models.layout import storage_error
from llmkube.models.locks import attempt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmkube.models.cache import Cache
    from llmkube.models.collect import BlobEntry, ModelName

BLOCK = 4 * 1024 * 1024


def found_digest(cache: Cache, blob: BlobEntry, moved: Callable[[int], None]) -> str | None:
    """The digest of the bytes that are there; None when the blob has gone. `moved` is told bytes as they are read.

    SourceError when the disk does not give them.
    """
    sha256, buffer = hashlib.sha256(), memoryview(bytearray(BLOCK))
    try:
        with os.fdopen(_opened(cache.blob(blob.sha256)), "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                sha256.update(buffer[:count])
                moved(count)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error(cache.root, error) from None
    return sha256.hexdigest()


def drop_damaged(cache: Cache, model: ModelName, digest: str) -> int:
    """Read again what a model's name points to at this digest; remove what is damaged, and return how many bytes went.

    SourceError when the disk does not give them.
    """
    found = inventory(cache)
    links = (each for each in found.links if each.model == model and digest.startswith(each.digest12))
    wanted = {sha256 for each in links for sha256 in each.blobs}
    damaged = [each for each in found.blobs if each.sha256 in wanted and _is_damaged(cache, each)]
    return sum(each.size for each in damaged if drop(cache, each))


def _is_damaged(cache: Cache, blob: BlobEntry) -> bool:
    return found_digest(cache, blob, lambda _: None) not in {None, blob.sha256}


def _opened(place: Path) -> int:
    """For reading, so that it does not count as use where the file is ours."""
    try:
        return os.open(place, os.O_RDONLY | getattr(os, "O_NOATIME", 0))
    except PermissionError:
        return os.open(place, os.O_RDONLY)


def drop(cache: Cache, blob: BlobEntry) -> bool:
    """Remove a damaged blob, whoever refers to it: the next fetch brings it again. False while a fetch holds it."""
    try:
        with attempt(cache.layout.lock(blob_lock(blob.sha256))) as is_free:
            if is_free:
                cache.blob(blob.sha256).unlink(missing_ok=True)
            return is_free
    except OSError as error:
        raise storage_error(cache.root, error) from None
