"""Ends a process whose event loop has stalled while it holds the lease: by then another process may be leading.

A thread, because a stalled loop can do nothing about itself; `os._exit`, because nothing else is sure to work.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXIT_CODE = 70


def die(stalled: float) -> None:
    """Says where every thread stands, and ends the process at once."""
    sys.stderr.write(f"the event loop has stalled for {stalled:.1f} s, past the lease's renew deadline: exiting\n")
    faulthandler.dump_traceback(file=sys.stderr)
    sys.stderr.flush()
    os._exit(EXIT_CODE)


class Watchdog:
    """Calls `on_stall(seconds)` when the loop has not come round for `limit` seconds."""

    def __init__(
        self, limit: float, *, on_stall: Callable[[float], None] = die, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._on_stall = on_stall
        self._now = now
        self._beat = now()
        self._stop = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watches the running loop for the length of the block."""
        self._heartbeat(asyncio.get_running_loop())
        thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()

    def look(self) -> None:
        """Compares once."""
        if (stalled := self._now() - self._beat) > self._limit:
            self._on_stall(stalled)

    def _heartbeat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beat = self._now()
        if not self._stop.is_set():
            loop.call_later(self._limit / 10, self._heartbeat, loop)

    def _watch(self) -> None:
        while not self._stop.wait(self._limit / 10):
            self.look()
