"""Disk space that is taken before it is written, so that a full disk is an error at the beginning.

The system call itself: posix_fallocate of the C library writes into every block where a file system cannot reserve,
which over NFS takes as long as the download.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

UNABLE = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})


def allocate(descriptor: int, size: int) -> bool:
    """Reserve the first `size` bytes of a file. OSError when there is no room; False where nobody can reserve."""
    if not sys.platform.startswith("linux") or sys.maxsize < 1 << 62 or size <= 0:
        return False
    call = ctypes.CDLL(None, use_errno=True).fallocate
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    while call(descriptor, 0, 0, size) != 0:
        number = ctypes.get_errno()
        if number in UNABLE:
            return False
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
    return True
