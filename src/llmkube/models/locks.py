"""Locks of the cache: flock on an open file, which the kernel gives up with its last holder, however that ended.

They hold between the processes of a machine on every file system, and between machines where the file system carries
flock there: NFS does from version 4 on (and 3 with its lock daemon), unless it is mounted with nolock or local_lock.
A file system without locks is refused: two fetches into one partial file would spoil each other's bytes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING

from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY = frozenset({errno.EWOULDBLOCK, errno.EACCES})
WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})


def acquire(place: Path, *, shared: bool = False) -> int | None:
    """The descriptor that holds the lock until it is closed; None while somebody else holds it. Never waits."""
    while True:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not _locked(descriptor, place, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
                os.close(descriptor)
                return None
            if _is_still_at(descriptor, place):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder removed the file between our opening and locking it


@contextlib.contextmanager
def attempt(place: Path, *, shared: bool = False) -> Iterator[bool]:
    """Whether the lock was free; it is held meanwhile."""
    descriptor = acquire(place, shared=shared)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(descriptor: int, place: Path, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in BUSY:
            return False
        if error.errno in WITHOUT_LOCKS:
            message = f"cache file {place}: expected a file system with locks (flock), found {error.strerror}"
            raise SourceError("CacheNotWritable", f"{message}; use another volume, or mount NFS with locks") from None
        raise
    return True


def _is_still_at(descriptor: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except FileNotFoundError:
        return False
