"""SIGTERM and SIGINT: the first asks to stop, the second means it."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = structlog.get_logger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopping(stop: Callable[[], None], *, exit_now: Callable[[int], None] = os._exit) -> Iterator[None]:
    """Calls `stop` at the first signal and exits with 128 + its number at the second."""
    loop = asyncio.get_running_loop()
    asked = False

    def on_signal(number: signal.Signals) -> None:
        nonlocal asked
        if asked:
            exit_now(128 + number)
        asked = True
        log.info("stopping; a second signal exits at once", signal=number.name)
        stop()

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
