"""When a request is made again, and after which pause."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MOST_TRIES = 6
FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
LONGEST_ASKED = 300.0
"""A server that asks for a longer pause (Retry-After) is left to whoever runs the fetch again."""
ELSEWHERE = frozenset({"NoSpace", "SourceChanged", "Interrupted"})
"""What the same request cannot heal, though another run may."""


def pause(error: SourceError, tries: int) -> float | None:
    """Seconds until the next try, after so many without progress; None: there is none."""
    if not error.retryable or error.reason in ELSEWHERE or tries >= MOST_TRIES:
        return None
    asked = error.retry_after or 0.0
    if asked > LONGEST_ASKED:
        return None
    return max(min(FIRST_DELAY * 2.0 ** (tries - 1), LONGEST_DELAY), asked)


async def retried(attempt: Callable[[], Awaitable[None]], progress: Callable[[], int]) -> None:
    """Tries again after retryable errors, with growing pauses; gives up after MOST_TRIES without progress."""
    tries, before = 0, progress()
    while True:
        try:
            return await asyncio.create_task(_alone(attempt))
        except SourceError as error:
            tries = tries + 1 if progress() <= before else 1
            before = progress()
            delay = pause(error, tries)
            if delay is None:
                raise
        await asyncio.sleep(delay)


async def _alone(attempt: Callable[[], Awaitable[None]]) -> None:
    """In a task of its own: a TaskGroup that fails leaves its task marked as being cancelled, before Python 3.13, and a
    timeout of the next attempt would pass for that."""
    await attempt()
