"""Who owns a task: the block that started it. There is no other way to start one in the operator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

Job = Callable[[], Awaitable[None]]


class EndedError(Exception):
    """A job that should run as long as its block came to an end by itself."""


@asynccontextmanager
async def running(jobs: Iterable[Job], *, for_ever: bool = False) -> AsyncIterator[None]:
    """Runs every job for the length of the block and cancels it at the end; the failure of one ends the block.

    With `for_ever`, a job that returns has failed.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(job, for_ever=for_ever), name=name_of(job)) for job in jobs]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def either(first: Job, second: Job) -> None:
    """Waits until one of the two has ended, and cancels the other."""
    async with asyncio.TaskGroup() as group:
        tasks = {group.create_task(_run(job, for_ever=False), name=name_of(job)) for job in (first, second)}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


async def _run(job: Job, *, for_ever: bool) -> None:
    await job()
    if for_ever:
        raise EndedError(f"{name_of(job)} ended by itself")


def name_of(job: Job) -> str:
    owner = getattr(job, "__self__", None)
    return f"{type(owner).__name__}.{job.__name__}" if owner is not None else getattr(job, "__name__", repr(job))
