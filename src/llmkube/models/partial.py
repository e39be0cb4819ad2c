"""Bytes of a file under way: appended, hashed as they are written, and picked up again after a kill.

What is on disk for certain is noted beside the file; after a crash of the machine only that much is believed.
Plain blocking calls: the download makes them in a thread.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, BinaryIO

from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"GGUF"
CHECKPOINT = 32 * 1024 * 1024
BLOCK = 4 * 1024 * 1024
LOOKS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"version https://git-lfs", "a Git LFS pointer"),
    (b"{", "a JSON document"),
    (b"\x89hdf", "an HDF5 file"),
    (b"pk\x03\x04", "a zip archive (a PyTorch checkpoint?)"),
)


class Partial:
    """`length` bytes are written; `digest` is of exactly those."""

    def __init__(self, path: Path, *, source: str) -> None:
        self.path = path
        self.length = 0
        self._source = source
        self._note = path.with_name(f"{path.name}.synced")
        self._synced = 0
        self._sha256 = hashlib.sha256()
        self._file: BinaryIO = path.open("r+b" if path.exists() else "w+b")

    def resume(self) -> None:
        """Read back what an earlier run left, up to what it noted."""
        noted = min(self._noted(), os.fstat(self._file.fileno()).st_size)
        self._file.truncate(noted)
        while block := self._file.read(BLOCK):
            self._sha256.update(block)
            self.length += len(block)
        self._synced = self.length

    def _noted(self) -> int:
        try:
            text = self._note.read_text()
        except FileNotFoundError:
            return 0
        return int(text) if text.isascii() and text.isdigit() else 0

    def restart(self) -> None:
        """Forget everything: what comes is another file, or comes from its beginning again."""
        self._file.seek(0)
        self._file.truncate(0)
        self._note.unlink(missing_ok=True)
        self.length = self._synced = 0
        self._sha256 = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Append; SourceError NotGGUF at once when the first bytes are of something else."""
        if self.length < len(MAGIC):
            self._check_magic(chunk)
        self._file.write(chunk)
        self._sha256.update(chunk)
        self.length += len(chunk)
        if self.length - self._synced >= CHECKPOINT:
            self.sync()

    def _check_magic(self, chunk: bytes) -> None:
        if self.length or chunk.startswith(MAGIC):
            return
        message = f"{self._source}: expected a GGUF file, found {described(chunk)}; give the address of the file"
        raise SourceError("NotGGUF", message)

    def sync(self) -> None:
        self._file.flush()
        os.fdatasync(self._file.fileno()) if hasattr(os, "fdatasync") else os.fsync(self._file.fileno())
        self._note.write_text(str(self.length))
        self._synced = self.length

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Keep what there is for the next run."""
        if not self._file.closed:
            self.sync()
            self._file.close()

    def finish(self) -> None:
        """The bytes are complete: nothing is left beside them."""
        self._file.flush()
        self._file.close()
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """The bytes are wrong: nothing of them stays."""
        self._file.close()
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def described(chunk: bytes) -> str:
    """What a file seems to be, by its first bytes, for a person."""
    start = chunk[:64].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    kind = next((name for look, name in LOOKS if start.startswith(look)), "other bytes")
    return f"{kind} ({chunk[:24]!r})"
