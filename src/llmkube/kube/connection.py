"""The sockets on which the API server is asked: what becomes of a connection whose other end is gone."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
UNACKNOWLEDGED = {"TCP_USER_TIMEOUT": 5000}
"""Milliseconds: less than is left of a lease when its leader gives up (kube/lease.py, duration less deadline)."""
CLOSE_IS_RESET = struct.pack("ii", 1, 0)


def connection(address: aiohttp.AddrInfoType) -> socket.socket:
    """A peer that is gone without a word is noticed within a minute, not at the end of a watch.

    What was not delivered when a request is given up, or its process ends, is thrown away: a kernel would go on trying
    for minutes, and the write would arrive when another process leads.
    """
    made = socket.socket(family=address[0], type=address[1], proto=address[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_IS_RESET)
    for name, value in (KEEP_ALIVE | UNACKNOWLEDGED).items():
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
