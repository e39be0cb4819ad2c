"""What one attempt leaves behind is not the next one's."""

from __future__ import annotations

import asyncio

import pytest
from tests.sim.loop import run

from llmkube.models.errors import SourceError
from llmkube.models.retry import retried


def test_an_attempt_whose_tasks_failed_leaves_the_next_one_with_nothing_of_its_cancellation() -> None:
    """Before Python 3.13 a TaskGroup whose child failed leaves its task marked as being cancelled."""
    marks: list[int] = []

    async def lost() -> None:
        await asyncio.sleep(0)
        raise SourceError("Unreachable", "reset", retryable=True)

    async def attempt() -> None:
        task = asyncio.current_task()
        assert task is not None
        marks.append(task.cancelling())
        if len(marks) > 1:
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(lost())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def main() -> None:
        await retried(attempt, lambda: 0)

    run(main)
    assert marks == [0, 0]


def test_who_is_cancelled_while_an_attempt_runs_takes_it_along() -> None:
    ended: list[str] = []

    async def attempt() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("attempt")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await retried(attempt, lambda: 0)

    run(main)
    assert ended == ["attempt"]
