"""The offload reader: the beginning of an engine's log, once per start."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.desired.test_engine_log import log

from llmkube.controllers.offloads import TRIES, OffloadReader
from llmkube.desired.engine_log import LONGEST
from llmkube.kube.errors import TransportError
from llmkube.kube.kinds import Key
from llmkube.kube.objects import Pod

CHAT = Key("team", "chat")


def pod(name: str, *, ready: bool = True, began: str = "2026-01-01T00:00:00Z", going: bool = False) -> Pod:
    engine = {"name": "llama-server", "ready": ready, "state": {"running": {"startedAt": began}}}
    metadata = {"name": name, "namespace": "team", "uid": name} | ({"deletionTimestamp": began} if going else {})
    return msgspec.convert({"metadata": metadata, "status": {"containerStatuses": [engine]}}, Pod)


class Logs:
    """A client that has one log for each pod."""

    def __init__(self) -> None:
        self.of: dict[str, str | Exception] = {}
        self.asked: list[str] = []

    async def logs(self, pod: Key, *, container: str, tail: int | None, limit_bytes: int) -> str:
        assert (container, tail, limit_bytes) == ("llama-server", None, LONGEST)
        self.asked.append(pod.name)
        found = self.of[pod.name]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def logs() -> Logs:
    return Logs()


@pytest.fixture
def told() -> list[Key]:
    return []


@pytest.fixture
def reader(logs: Logs, told: list[Key]) -> OffloadReader:
    client: Any = logs
    return OffloadReader(client, notify=told.append)


async def test_a_log_is_read_once_per_start_and_its_service_is_told(
    reader: OffloadReader, logs: Logs, told: list[Key]
) -> None:
    logs.of["a"] = log("CUDA0")
    assert reader.of(CHAT, [pod("a")]) is None
    for _ in range(3):
        await reader.logs.read_once()
        assert reader.of(CHAT, [pod("a")]) == 31
    assert (logs.asked, told) == (["a"], [CHAT])
    logs.of["a"] = log()
    restarted = pod("a", began="2026-01-02T00:00:00Z")
    assert reader.of(CHAT, [restarted]) is None
    await reader.logs.read_once()
    assert reader.of(CHAT, [restarted]) == 0


async def test_the_worst_pod_counts(reader: OffloadReader, logs: Logs) -> None:
    logs.of = {"a": log("CUDA0"), "b": log()}
    pods = [pod("a"), pod("b")]
    reader.of(CHAT, pods)
    await reader.logs.read_once()
    assert reader.of(CHAT, pods) == 0
    assert reader.of(CHAT, pods[:1]) == 31


async def test_only_engines_that_are_ready_and_stay_are_read(reader: OffloadReader, logs: Logs) -> None:
    reader.of(CHAT, [pod("a", ready=False), pod("b", going=True)])
    await reader.logs.read_once()
    assert logs.asked == []


@pytest.mark.parametrize("answer", ["no word of it", TransportError("no answer")])
async def test_a_log_that_does_not_tell_is_tried_a_few_times_and_left_alone(
    reader: OffloadReader, logs: Logs, told: list[Key], answer: str | Exception
) -> None:
    logs.of["a"] = answer
    reader.of(CHAT, [pod("a")])
    for _ in range(2 * TRIES):
        await reader.logs.read_once()
    assert (len(logs.asked), told, reader.of(CHAT, [pod("a")])) == (TRIES, [], None)


async def test_nothing_is_kept_of_pods_and_services_that_are_gone(reader: OffloadReader, logs: Logs) -> None:
    logs.of["a"] = TransportError("no answer")
    reader.of(CHAT, [pod("a")])
    reader.of(CHAT, [])
    reader.of(CHAT, [pod("a")])
    reader.forget(CHAT)
    await reader.logs.read_once()
    assert (logs.asked, reader._known, reader._unread) == ([], {}, {})
