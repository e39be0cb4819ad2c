"""Bytes of a file under way: written where they belong, in any order, and picked up again after a kill.

Which of them are on disk for certain is noted beside the file (`<key>.json`), after they were synced. A later run
believes the note alone, and only of the very file that it was written of. No byte is ever written twice: what was
hashed is what is there. Plain blocking calls, from any thread.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.models.allocation import allocate
from llmkube.models.cache import draft_of, write_atomically
from llmkube.models.errors import SourceError
from llmkube.models.extents import Extents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAGIC = b"GGUF"
LOOKS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"version https://git-lfs", "a Git LFS pointer"),
    (b"{", "a JSON document"),
    (b"\x89hdf", "an HDF5 file"),
    (b"\x1f\x8b", "gzip-compressed bytes"),
    (b"pk\x03\x04", "a zip archive (a PyTorch checkpoint?)"),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose bytes they are: a note of another size, or of another entity tag where that decides, is of another file."""

    source: str
    filename: str
    size: int | None = None
    etag: str = ""
    by_digest: bool = False

    def fits(self, note: dict[str, Any]) -> bool:
        return note.get("size") == self.size and (self.by_digest or note.get("etag") == self.etag)


class Partial:
    """`written` are the bytes that are in the file, `noted` those that a later run will find."""

    def __init__(self, path: Path, identity: Identity) -> None:
        self.path = path
        self.identity = identity
        self.written = self.noted = Extents()
        self.resumed = 0
        self._note = note_of(path)
        self._writer = secrets.token_hex(8)
        self._state = threading.Condition()
        self._users = 0
        self._noting = threading.Lock()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    @property
    def allocated(self) -> int:
        """Bytes that the file has on disk already."""
        return os.fstat(self._descriptor).st_blocks * 512

    @property
    def unnoted(self) -> int:
        """Bytes that would have to be fetched again after a kill."""
        return self.written.length - self.noted.length

    def resume(self) -> None:
        """Believe what an earlier run noted; begin anew when it noted nothing of this file."""
        note, found = self._read(), os.fstat(self._descriptor)
        extents = Extents.of(note.get("extents"))
        if extents is None or note.get("inode") != found.st_ino or not self.identity.fits(note):
            self.restart()
            return
        self.written = self.noted = extents.below(found.st_size)
        self.resumed = self.written.length
        self._tell(self.noted)

    def restart(self) -> None:
        """Forget everything: what comes is another file, or comes from its beginning again."""
        self._note.unlink(missing_ok=True)
        os.ftruncate(self._descriptor, 0)
        self.written = self.noted = Extents()
        self.resumed = 0

    def reserve(self) -> None:
        """Take the space that the file will need, where the file system can; OSError when there is not enough."""
        if self.identity.size:
            allocate(self._descriptor, self.identity.size)

    def write(self, start: int, chunks: Sequence[bytes]) -> None:
        """Bytes to their place. SourceError NotGGUF at once when the first ones are of something else."""
        if start == 0:
            self._check_magic(b"".join(chunk[:64] for chunk in chunks[:64]))
        end = start
        with self._used() as descriptor:
            for chunk in chunks:
                end = _write_all(descriptor, end, chunk)
        with self._state:
            self.written = self.written.having(start, end)

    @contextlib.contextmanager
    def _used(self) -> Iterator[int]:
        """The descriptor, which is not closed meanwhile: a thread outlives the task that waited for it."""
        with self._state:
            if self._descriptor < 0:
                raise OSError(errno.EBADF, "the partial file is closed", str(self.path))
            self._users += 1
        try:
            yield self._descriptor
        finally:
            with self._state:
                self._users -= 1
                self._state.notify_all()

    def _check_magic(self, begin: bytes) -> None:
        if begin.startswith(MAGIC):
            return
        message = f"{self.identity.source}: expected a GGUF file, found {described(begin)}"
        raise SourceError("NotGGUF", f"{message}; give the address of the file")

    def read_into(self, buffer: memoryview, at: int) -> int:
        """Bytes that were written, for hashing; as many as there are, at most the buffer's size."""
        with self._used() as descriptor:
            return os.preadv(descriptor, [buffer], at)

    def sync(self) -> None:
        """Put what is written on disk, then note it. SourceError when somebody else writes here, lock or not."""
        with self._noting, self._used() as descriptor:
            written = self.written
            if written == self.noted:
                return
            (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(descriptor)
            if self.noted.ranges and self._read().get("writer") != self._writer:
                message = f"cache file {self.path}: expected to be its only writer, found another"
                raise SourceError("Interrupted", f"{message}; does the volume have locks between machines?")
            self._tell(written)

    def _tell(self, written: Extents) -> None:
        own, inode = self.identity, os.fstat(self._descriptor).st_ino
        note = {"filename": own.filename, "size": own.size, "etag": own.etag, "inode": inode, "writer": self._writer}
        write_atomically(self._note, json.dumps({**note, "extents": written.to_json()}))
        self.noted = written

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._note.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def close(self) -> None:
        """Keep what there is for the next run."""
        if self._descriptor >= 0:
            try:
                self.sync()
            finally:
                self._close()

    def finish(self) -> None:
        """The bytes have their final name: nothing is left beside them."""
        self._close()
        leave_nothing(self.path)

    def discard(self) -> None:
        """The bytes are wrong: nothing of them stays."""
        self._close()
        leave_nothing(self.path)

    def _close(self) -> None:
        with self._state:
            self._state.wait_for(lambda: not self._users)
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


def note_of(path: Path) -> Path:
    """Where it is noted which bytes of a partial file are on disk."""
    return path.with_name(f"{path.name}.json")


def leave_nothing(path: Path) -> None:
    """Remove a partial file and what is beside it: the note first, which must never be of another file."""
    note = note_of(path)
    for each in (note, draft_of(note), path):
        each.unlink(missing_ok=True)


def _write_all(descriptor: int, at: int, chunk: bytes) -> int:
    view = memoryview(chunk)
    while view:
        count = os.pwrite(descriptor, view, at)
        view, at = view[count:], at + count
    return at


def described(chunk: bytes) -> str:
    """What a file seems to be, by its first bytes, for a person."""
    start = chunk[:64].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    kind = next((name for look, name in LOOKS if start.startswith(look)), "other bytes")
    return f"{kind} ({chunk[:24]!r})"
