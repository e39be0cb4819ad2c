"""The cache directory: verified blobs by digest, models that point to them, and who may change what.

Several processes, on several machines, use it at once. Each holds the blobs that it found or made until they are
linked: whoever removes blobs takes only those that nobody holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.models.collect import SHORT
from llmkube.models.errors import SourceError
from llmkube.models.layout import Layout, damaged, storage_error
from llmkube.models.locks import acquire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from llmkube.models.collect import ModelName

MARGIN = 64 * 1024 * 1024
POLL_SECONDS = 1.0
LONGEST_WAIT = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Blob:
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache below `root`. Blocking calls, but for the locks that may have to be waited for."""

    root: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def blob(self, sha256: str) -> Path:
        return self.layout.blob(sha256)

    def find(self, sha256: str, size: int | None = None) -> Blob | None:
        """A blob is complete by its name: it gets the name only when it is verified.

        One of another size than the source says was damaged since: it is as good as missing, and is replaced.
        """
        place = self.blob(sha256)
        try:
            found = place.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(self.root, error) from None
        if not stat.S_ISREG(found.st_mode):
            raise damaged(self.root, place, "a directory" if stat.S_ISDIR(found.st_mode) else "something else")
        return None if size is not None and found.st_size != size else Blob(sha256, found.st_size)

    def known(self, key: str, size: int | None = None) -> Blob | None:
        """What a source's bytes became before; None when they are not here (any more)."""
        try:
            found: Any = json.loads(self.layout.known(key).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        digest = found.get("sha256") if isinstance(found, dict) else None
        return self.find(digest, size) if isinstance(digest, str) and len(digest) == 64 and digest.isalnum() else None

    def remember(self, key: str, sha256: str) -> None:
        """Note what a source's bytes became."""
        write_atomically(self.layout.known(key), json.dumps({"sha256": sha256}))

    def prepare(self) -> None:
        """Make the folders; SourceError when the cache cannot be written."""
        self.layout.prepare()

    def check_space(self, needed: int) -> None:
        """SourceError NoSpace, with numbers, when so many bytes do not fit beside a small margin."""
        found = os.statvfs(self.root)
        free = found.f_bavail * found.f_frsize
        if needed and free < needed + MARGIN:
            wanted, have = mebibytes(needed + MARGIN), mebibytes(free)
            message = f"cache {self.root}: expected {wanted} of free space, found {have}; make room or a larger claim"
            raise SourceError("NoSpace", message)

    def commit(self, partial: Path, sha256: str) -> Blob:
        """Give verified bytes their name; they are on disk before they have it."""
        target = self.blob(sha256)
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.chmod(0o644)
        partial.replace(target)
        sync_folder(target.parent)
        return Blob(sha256, target.stat().st_size)

    def link(self, model: ModelName, digest: str, files: Mapping[str, Blob]) -> None:
        """Make the files of a model appear under their names."""
        folder = self.layout.links(model, digest[:SHORT])
        folder.mkdir(parents=True, exist_ok=True)
        for filename, blob in files.items():
            _link(folder / filename, os.path.relpath(self.blob(blob.sha256), folder))
        os.utime(folder)  # when it was last asked for
        for place in (folder, *folder.parents[:3]):
            sync_folder(place)

    @contextlib.asynccontextmanager
    async def lock(self, key: str, waiting: Callable[[], None]) -> AsyncIterator[None]:
        """One fetch of one thing at a time, over all processes; `waiting` is told each second while another has it."""
        descriptor = await self.acquired(key, waiting, shared=False)
        try:
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def hold(self) -> Iterator[Holds]:
        """Keep blobs from being removed until the end of the block."""
        holds = Holds(self)
        try:
            yield holds
        finally:
            holds.release()

    async def acquired(self, key: str, waiting: Callable[[], None], *, shared: bool) -> int:
        """The descriptor that holds a lock until it is closed; waited for, at most a day."""
        place = self.layout.lock(key)
        deadline = time.monotonic() + LONGEST_WAIT
        while True:
            try:
                descriptor = acquire(place, shared=shared)
            except OSError as error:
                raise storage_error(self.root, error) from None
            if descriptor is not None:
                return descriptor
            if time.monotonic() > deadline:
                raise SourceError("Interrupted", f"cache {self.root}: somebody held {place.name} for a day")
            waiting()
            await asyncio.sleep(POLL_SECONDS)


class Holds:
    """The blobs that one fetch needs: shared locks, so that several fetches may need the same."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._descriptors: dict[str, int] = {}

    async def add(self, sha256: str) -> None:
        """Hold one more; whoever removes it at this moment is waited for."""
        if sha256 not in self._descriptors:
            found = await self._cache.acquired(blob_lock(sha256), lambda: None, shared=True)
            self._descriptors[sha256] = found

    def release(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])


def blob_lock(sha256: str) -> str:
    """The key of the lock on one blob's existence."""
    return f"blob-{sha256}"


def model_lock(model: ModelName) -> str:
    """The key of the lock on one model's links."""
    return f"model-{key_of(model.namespace, model.name)}"


def write_atomically(place: Path, text: str) -> None:
    """Readers see the old text or the new one, never a part of it. One writer at a time: the caller has a lock."""
    draft = draft_of(place)
    draft.write_text(text)
    draft.replace(place)


def draft_of(place: Path) -> Path:
    """Where something is made that gets its name when it is complete; a kill may leave it, the next one takes it."""
    return place.with_name(f".{place.name[:240]}.new")


def _link(place: Path, target: str) -> None:
    if place.is_symlink() and str(place.readlink()) == target:
        return
    draft = draft_of(place)
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(place)


def sync_folder(folder: Path) -> None:
    """Names that were given in it are there after a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def key_of(*parts: object) -> str:
    """A file name for what is fetched: the same things give the same name."""
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:32]


def model_digest(digests: list[str]) -> str:
    """A model's digest: its file's, or of a split model the digest of its parts' digests, in order."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def mebibytes(count: int) -> str:
    return f"{count / (1 << 20):,.1f} MiB"
