"""Logs that are read in the background: only what is wanted, only a piece of it, and never all at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmkube.controllers import pod_logs
from llmkube.controllers.pod_logs import AT_ONCE, PodLogs
from llmkube.kube.errors import TransportError
from llmkube.kube.kinds import Key


class Kubelets:
    """A client whose logs say their pod's name; one can hang, or fail."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.now = self.most = 0
        self.silent: set[str] = set()
        self.broken: set[str] = set()

    async def logs(self, pod: Key, **how: Any) -> str:
        self.asked.append(how)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(600 if pod.name in self.silent else 0)
        finally:
            self.now -= 1
        if pod.name in self.broken:
            raise TransportError("no answer")
        return f"says {pod.name}"


class Listener:
    def __init__(self) -> None:
        self.wanted: list[str] = []
        self.heard: dict[str, str] = {}

    def reading(self, client: Kubelets) -> PodLogs[str]:
        return PodLogs(
            client,  # type: ignore[arg-type]
            container="fetch",
            limit_bytes=10,
            tail=1,
            wanted=lambda: ((name, Key("team", name)) for name in self.wanted),
            heard=self.heard.__setitem__,
        )


async def test_each_log_that_is_wanted_is_read_as_far_as_it_is_wanted_and_not_all_at_the_same_time() -> None:
    client, listener = Kubelets(), Listener()
    reader = listener.reading(client)
    await reader.read_once()
    assert client.asked == []
    listener.wanted = [f"pod-{number}" for number in range(3 * AT_ONCE)]
    await reader.read_once()
    assert client.asked == [{"container": "fetch", "limit_bytes": 10, "tail": 1}] * (3 * AT_ONCE)
    assert listener.heard == {name: f"says {name}" for name in listener.wanted}
    assert client.most == AT_ONCE


async def test_a_log_that_cannot_be_read_or_does_not_come_says_nothing_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pod_logs, "TIMEOUT", 0.01)
    client, listener = Kubelets(), Listener()
    listener.wanted, client.silent, client.broken = ["a", "b", "c"], {"a"}, {"b"}
    await listener.reading(client).read_once()
    assert listener.heard == {"a": "", "b": "", "c": "says c"}


async def test_what_is_wanted_is_asked_anew_at_each_turn_and_may_change_while_logs_are_read() -> None:
    client, listener = Kubelets(), Listener()
    listener.wanted = ["a", "b"]
    reader = listener.reading(client)
    turn = asyncio.create_task(reader.read_once())
    await asyncio.sleep(0)
    listener.wanted.clear()
    await turn
    await reader.read_once()
    assert (set(listener.heard), len(client.asked)) == ({"a", "b"}, 2)
