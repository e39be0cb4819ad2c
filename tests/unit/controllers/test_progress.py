"""The progress reader: one line of the pod that runs now, told when it says something new."""

from __future__ import annotations

from typing import Any

import pytest

from llmkube.controllers.progress import ProgressReader
from llmkube.kube.errors import TransportError
from llmkube.kube.kinds import Key

TINY, POD = Key("team", "tiny"), Key("team", "tiny-fetch-x")


class Logs:
    """A client that has one line for every pod, or none."""

    def __init__(self) -> None:
        self.line: str | Exception = ""

    def says(self, arrived: int, rate: int = 0) -> None:
        self.line = f'{{"event":"progress","bytes":{arrived},"total":1000,"bytesPerSecond":{rate}}}'

    async def logs(self, pod: Key, **_: Any) -> str:
        if isinstance(self.line, Exception):
            raise self.line
        return self.line


@pytest.fixture
def logs() -> Logs:
    return Logs()


@pytest.fixture
def told() -> list[Key]:
    return []


@pytest.fixture
def reader(logs: Logs, clock: Any, told: list[Key]) -> ProgressReader:
    found = ProgressReader(logs, clock=clock, notify=told.append)  # type: ignore[arg-type]
    found.follow(TINY, POD)
    return found


async def test_every_percent_is_told_and_less_only_after_two_seconds(
    reader: ProgressReader, logs: Logs, clock: Any, told: list[Key]
) -> None:
    for seconds, arrived, expected in (
        (0, 100, 1),
        (0.5, 105, 1),
        (1, 110, 2),
        (2, 111, 2),
        (3.5, 112, 3),
        (9, 112, 3),
    ):
        clock.seconds = seconds
        logs.says(arrived)
        await reader.logs.read_once()
        assert len(told) == expected


async def test_a_log_that_cannot_be_read_changes_nothing(reader: ProgressReader, logs: Logs, told: list[Key]) -> None:
    logs.says(100)
    await reader.logs.read_once()
    logs.line = TransportError("no answer")
    await reader.logs.read_once()
    found = reader.tick(TINY, POD)
    assert found is not None
    assert (found.bytes, told) == (100, [TINY])


async def test_what_an_earlier_pod_said_is_not_told_of_the_next(reader: ProgressReader, logs: Logs) -> None:
    logs.says(900)
    await reader.logs.read_once()
    after = Key("team", "tiny-fetch-y")
    reader.follow(TINY, after)
    assert reader.tick(TINY, after) is None
    assert reader.tick(TINY, POD) is None
