"""Takes out of a cache what was decided to go, unless somebody came to need it meanwhile. Blocking.

Under the locks of a fetch: a blob goes only while nobody holds it, and only if no link or pin points to it when it is
locked; a partial file only while nobody fetches into it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.models.cache import Cache, blob_lock, draft_of, model_lock
from llmkube.models.inventory import inventory
from llmkube.models.layout import storage_error
from llmkube.models.locks import acquire, attempt
from llmkube.models.partial import leave_nothing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.models.collect import BlobEntry, Links, PartialEntry, Removal


@dataclass(frozen=True, slots=True)
class Removed:
    """What did go, and the digests and keys that somebody needed after all."""

    links: tuple[Links, ...]
    blobs: tuple[BlobEntry, ...]
    partials: tuple[PartialEntry, ...]
    kept: tuple[str, ...]

    @property
    def bytes(self) -> int:
        return sum(each.size for each in self.blobs) + sum(each.size for each in self.partials)


def remove(cache: Cache, removal: Removal) -> Removed:
    """Do it; SourceError when the directory refuses."""
    try:
        links = tuple(each for each in removal.links if _dropped(cache, each))
        for pin in removal.pins:
            cache.layout.pin(pin.name).unlink(missing_ok=True)
        blobs = _without_blobs(cache, removal.blobs)
        partials = tuple(each for each in removal.partials if _without_partial(cache, each))
    except OSError as error:
        raise storage_error(cache.root, error) from None
    kept = [each.sha256 for each in removal.blobs if each not in blobs]
    kept += [each.key for each in removal.partials if each not in partials]
    return Removed(links, blobs, partials, tuple(kept))


def _dropped(cache: Cache, links: Links) -> bool:
    """Take a model's links of one digest away, unless they were made anew since they were looked at."""
    folder = cache.layout.links(links.model, links.digest12)
    with attempt(cache.layout.lock(model_lock(links.model))) as is_free:
        if not is_free or (folder.exists() and folder.stat().st_mtime != links.linked):
            return False
        for name, _ in links.files:
            (folder / name).unlink(missing_ok=True)
            draft_of(folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something that we did not put there, or another digest beside it
            for place in (folder, folder.parent):
                place.rmdir()
    return True


def _without_blobs(cache: Cache, blobs: Iterable[BlobEntry]) -> tuple[BlobEntry, ...]:
    """Lock those that nobody holds, look again at what is referred to, and remove the others."""
    with contextlib.ExitStack() as stack:
        free = [blob for blob in blobs if _is_locked_until_closed(cache, blob_lock(blob.sha256), stack)]
        if not free:
            return ()
        referenced = inventory(cache).referenced
        gone = tuple(blob for blob in free if blob.sha256 not in referenced)
        for blob in gone:
            cache.blob(blob.sha256).unlink(missing_ok=True)
            cache.layout.lock(blob_lock(blob.sha256)).unlink(missing_ok=True)
        return gone


def _is_locked_until_closed(cache: Cache, key: str, stack: contextlib.ExitStack) -> bool:
    descriptor = acquire(cache.layout.lock(key))
    if descriptor is None:
        return False
    stack.callback(os.close, descriptor)
    return True


def _without_partial(cache: Cache, partial: PartialEntry) -> bool:
    place, lock = cache.layout.partial(partial.key), cache.layout.lock(partial.key)
    with attempt(lock) as is_free:
        if is_free:
            leave_nothing(place)
            lock.unlink(missing_ok=True)
    return is_free
