"""python -m tests.bench.file_server FILE: serves one file over HTTP/1.1 with ranges, by sendfile: faster than who asks.

Prints its port, then serves until its stdin ends.
"""

from __future__ import annotations

import os
import re
import socketserver
import sys
import threading
from pathlib import Path

RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d*)\r\n", re.IGNORECASE)


class Handler(socketserver.BaseRequestHandler):
    """Requests of one connection, one after the other."""

    path = Path()

    def handle(self) -> None:
        descriptor, size = os.open(self.path, os.O_RDONLY), self.path.stat().st_size
        try:
            while request := self._request():
                found = RANGE.search(request)
                start = int(found[1]) if found else 0
                end = min(int(found[2]) + 1, size) if found and found[2] else size
                self.request.sendall(_head(start, end, size, is_range=found is not None))
                while start < end:
                    start += os.sendfile(self.request.fileno(), descriptor, start, end - start)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            os.close(descriptor)

    def _request(self) -> bytes:
        found = b""
        while not found.endswith(b"\r\n\r\n"):
            data = self.request.recv(65536)
            if not data:
                return b""
            found += data
        return found


def _head(start: int, end: int, size: int, *, is_range: bool) -> bytes:
    lines = [f"HTTP/1.1 {'206 Partial Content' if is_range else '200 OK'}", f"Content-Length: {end - start}"]
    if is_range:
        lines.append(f"Content-Range: bytes {start}-{end - 1}/{size}")
    return "\r\n".join([*lines, 'ETag: "bench"', "Accept-Ranges: bytes", "", ""]).encode()


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True


def main() -> None:
    Handler.path = Path(sys.argv[1])
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
