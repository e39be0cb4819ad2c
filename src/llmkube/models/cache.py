"""The cache directory: verified blobs by digest, models that point to them, and what is being fetched.

v1/blobs/sha256-<hex>                               complete and verified; nothing else ever has this name
v1/models/<namespace>/<name>/<digest12>/<file>.gguf a relative link to a blob
v1/partial/<key>                                    bytes of a fetch under way, and how many of them are on disk
v1/known/<key>.json                                 which blob a source's bytes became
v1/locks/<key>.lock                                 who fetches it
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

MARGIN = 64 * 1024 * 1024
POLL_SECONDS = 1.0
LONGEST_WAIT = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Blob:
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Cache:
    """A directory that several processes, on several machines, may use at once."""

    root: Path

    @property
    def _version(self) -> Path:
        return self.root / "v1"

    def blob(self, sha256: str) -> Path:
        return self._version / "blobs" / f"sha256-{sha256}"

    def partial(self, key: str) -> Path:
        return self._version / "partial" / key

    def find(self, sha256: str) -> Blob | None:
        """A blob is complete by its name: it gets the name only when it is verified."""
        try:
            return Blob(sha256, self.blob(sha256).stat().st_size)
        except FileNotFoundError:
            return None

    def known(self, key: str) -> Blob | None:
        """What a source's bytes became before; None when they are not here (any more)."""
        try:
            found: Any = json.loads((self._version / "known" / f"{key}.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        digest = found.get("sha256") if isinstance(found, dict) else None
        return self.find(digest) if isinstance(digest, str) and len(digest) == 64 and digest.isalnum() else None

    def remember(self, key: str, sha256: str) -> None:
        place = self._folder("known") / f"{key}.json"
        draft = place.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"sha256": sha256}))
        draft.replace(place)

    def _folder(self, *names: str) -> Path:
        folder = self._version.joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def prepare(self) -> None:
        """Make the folders; SourceError when the cache cannot be written."""
        try:
            for name in ("blobs", "partial", "locks", "known"):
                self._folder(name)
        except OSError as error:
            raise storage_error(self.root, error) from None

    def check_space(self, needed: int) -> None:
        """SourceError NoSpace, with numbers, when so many bytes do not fit beside a small margin."""
        found = os.statvfs(self.root)
        free = found.f_bavail * found.f_frsize
        if free < needed + MARGIN:
            wanted, have = mebibytes(needed + MARGIN), mebibytes(free)
            message = f"cache {self.root}: expected {wanted} of free space, found {have}; make room or a larger claim"
            raise SourceError("NoSpace", message)

    def commit(self, partial: Path, sha256: str) -> Blob:
        """Give verified bytes their name; they are on disk before they have it."""
        target = self.blob(sha256)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(target)
        _sync_folder(target.parent)
        return Blob(sha256, target.stat().st_size)

    def link(self, namespace: str, name: str, digest: str, files: dict[str, Blob]) -> str:
        """Make the files of a model appear under their names; the path of the first, relative to the root."""
        folder = self._folder("models", namespace, name, digest[:12])
        for filename, blob in files.items():
            _link(folder / filename, os.path.relpath(self.blob(blob.sha256), folder))
        _sync_folder(folder)
        return str((folder / next(iter(files))).relative_to(self.root))

    @contextlib.asynccontextmanager
    async def lock(self, key: str, waiting: Callable[[], None]) -> AsyncIterator[None]:
        """One fetch of one thing at a time, over all processes; `waiting` is told each second while another has it."""
        place = self._folder("locks") / f"{key}.lock"
        deadline = time.monotonic() + LONGEST_WAIT
        with place.open("w") as file:
            while not _try_lock(file.fileno()):
                if time.monotonic() > deadline:
                    raise SourceError("Interrupted", f"cache {self.root}: another fetch held {place.name} for a day")
                waiting()
                await asyncio.sleep(POLL_SECONDS)
            yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True


def _link(place: Path, target: str) -> None:
    if place.is_symlink() and str(place.readlink()) == target:
        return
    draft = place.with_name(f".{place.name[:200]}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(place)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(root: Path, error: OSError) -> SourceError:
    """What the disk said, as an error about the cache."""
    reason = "NoSpace" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "CacheNotWritable"
    message = f"cache {root}: expected a directory to write to, found {error.strerror or error}; check the volume"
    return SourceError(reason, message)


def key_of(*parts: object) -> str:
    """A file name for what is fetched: the same things give the same name."""
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:32]


def model_digest(digests: list[str]) -> str:
    """A model's digest: its file's, or of a split model the digest of its parts' digests, in order."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def mebibytes(count: int) -> str:
    return f"{count / (1 << 20):,.1f} MiB"
