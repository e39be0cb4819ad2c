"""When an informer is synced, how far it knows, and what it tells again of itself: in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest
from tests.sim.loop import run
from tests.unit.kube.test_watch import Said, Server
from tests.unit.runtime.conftest import HeldClock
from tests.wire.kube.conftest import end_of_initial, event, pod

from llmkube.kube.errors import of_status
from llmkube.kube.informer import Informer
from llmkube.kube.kinds import POD, Key
from llmkube.kube.objects import Pod
from llmkube.runtime.controller import Controller
from llmkube.runtime.outcome import Result
from llmkube.runtime.queue import WorkQueue
from llmkube.runtime.watches import primary


class Places:
    """A server that says something else in each namespace."""

    def __init__(self, **servers: list[Said]) -> None:
        self.transport = self
        self.servers = {name: Server(said) for name, said in servers.items()}

    def stream(self, path: str, **asked: Any) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.servers[path.split("/")[4]].stream(path, **asked)


def during(server: object, look: Callable[[Informer[Pod]], Awaitable[None]], *namespaces: str) -> None:
    """Look at an informer while it runs."""

    async def main() -> None:
        informer = Informer(server, POD, namespaces=namespaces)  # type: ignore[arg-type]
        running = asyncio.create_task(informer.run())
        await look(informer)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(main)


def placed(name: str, namespace: str, version: int) -> dict[str, Any]:
    made = pod(name, version)
    made["metadata"]["namespace"] = namespace
    return made


def test_it_is_synced_when_every_namespace_was_listed_and_its_handlers_have_heard_of_all() -> None:
    one = [event("ADDED", placed("a", "one", 4)), end_of_initial(5), float("inf")]
    two: list[Said] = [10.0, event("ADDED", placed("b", "two", 6)), end_of_initial(7), float("inf")]
    heard: list[tuple[str, bool, bool]] = []

    async def look(informer: Informer[Pod]) -> None:
        informer.add_handler(lambda _, new, *, initial: heard.append((new.metadata.name, initial, is_synced(informer))))
        await asyncio.sleep(9)
        assert (heard, is_synced(informer)) == ([("a", True, False)], False)
        await asyncio.sleep(2)
        assert (heard[1:], is_synced(informer)) == ([("b", True, False)], True)

    during(Places(one=one, two=two), look, "one", "two")


def is_synced(informer: Informer[Pod]) -> bool:
    return informer.synced.is_set()


def test_how_far_it_knows_is_told_for_each_namespace_and_for_all() -> None:
    one = [end_of_initial(5), 1.0, event("ADDED", placed("a", "one", 90)), float("inf")]

    async def look(informer: Informer[Pod]) -> None:
        await asyncio.sleep(2)
        assert (informer.version_in("one"), informer.version_in("two"), informer.version) == (90, 5, 5)

    during(Places(one=one, two=[end_of_initial(5), float("inf")]), look, "one", "two")


def test_how_far_it_knows_everywhere_is_how_far_it_knows_in_each_namespace() -> None:
    async def look(informer: Informer[Pod]) -> None:
        await asyncio.sleep(1)
        assert informer.version_in("any") == informer.version == 5

    during(Server([end_of_initial(5), float("inf")]), look)


@pytest.mark.parametrize(("chance", "hours"), [(0.0, 10.0), (1.0, 11.0)])
def test_everything_is_told_again_from_memory_every_ten_hours_and_up_to_a_tenth_more(
    monkeypatch: pytest.MonkeyPatch, chance: float, hours: float
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: low + chance * (high - low))
    told: list[tuple[float, str]] = []
    server = Server([event("ADDED", pod("a", 4)), event("ADDED", pod("b", 5)), end_of_initial(5), float("inf")])

    def hear(old: Pod | None, new: Pod | None, *, initial: bool) -> None:
        if old is new and new is not None and not initial:
            told.append((asyncio.get_running_loop().time() / 3600, new.metadata.name))

    async def look(informer: Informer[Pod]) -> None:
        informer.add_handler(hear)
        await asyncio.sleep(23 * 3600)

    during(server, look)
    assert told == [(pytest.approx(hours * turn), name) for turn in (1, 2) for name in "ab"]
    assert len(server.asked) == 1, "nothing is asked of the API server for it"


def test_a_kind_that_is_not_served_is_synced_and_counts_as_listed_once_for_as_long_as_it_is_not() -> None:
    refused = of_status(404, "NotFound", "the server could not find the requested resource")

    async def main() -> None:
        informer = Informer(Server(*[[refused]] * 99), POD, optional=True)  # type: ignore[arg-type]
        running = asyncio.create_task(informer.run())
        await asyncio.sleep(3600)
        assert (is_synced(informer), informer.is_absent, informer.statistics().relists) == (True, True, 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(main)


def test_from_a_line_of_a_watch_to_the_queue_nothing_else_can_run() -> None:
    """There is no loop here: whatever is not a plain call would fail."""

    async def nothing(_: Key) -> Result:
        return Result()

    controller = Controller("pods", reconcile=nothing, queue=WorkQueue(HeldClock()))
    informer = Informer(None, POD)  # type: ignore[arg-type]
    primary(controller, informer, is_ours=lambda _: False, is_observed=lambda _: True)
    (part,) = informer._parts
    seen = msgspec.convert(pod("a", 7), type=Pod)
    part.watcher._take(event("ADDED", pod("a", 7)))
    assert informer.store.get(Key("default", "a")) == seen
    assert informer.store.list("default") == [seen]
    assert controller.queue.statistics().ready == 1
    part.watcher._take(event("DELETED", pod("a", 8)))
    assert len(informer.store) == 0
