"""Secrets and ConfigMaps by name: read once for all who refer to them, again now and then, and never kept."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from llmkube.controllers.referenced_objects import ReferencedObjects
from llmkube.desired.referenced import Found, Reference
from llmkube.kube.errors import Forbidden, NotFound, TransportError
from llmkube.kube.kinds import Key, Kind
from llmkube.kube.objects import Data, ObjectMeta

CHAT, CODE, OTHER = Key("team", "chat"), Key("team", "code"), Key("others", "chat")
KEYS = Reference("Secret", "keys")
TEMPLATE = Reference("ConfigMap", "template")


def secret(uid: str = "1", **entries: str) -> Data:
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in entries.items()}
    return Data(metadata=ObjectMeta(name="keys", uid=uid), data=encoded)


@dataclass
class Cluster:
    """What a get returns or raises, by kind and key; counts them."""

    objects: dict[tuple[str, Key], Any] = field(default_factory=dict)
    asked: list[tuple[str, Key]] = field(default_factory=list)

    async def get(self, kind: Kind[Data], key: Key) -> Data:
        self.asked.append((kind.kind, key))
        there = self.objects.get((kind.kind, key), NotFound(404, "NotFound", "not found"))
        if isinstance(there, Exception):
            raise there
        found: Data = there
        return found


@dataclass
class World:
    cluster: Cluster
    objects: ReferencedObjects
    told: list[Key]
    clock: Any
    settle: Callable[[], Any]

    def put(self, data: Any) -> None:
        self.cluster.objects["Secret", Key("team", "keys")] = data


@pytest.fixture
async def world(clock: Any, settled: Any, background: Any) -> AsyncIterator[World]:
    told: list[Key] = []
    cluster = Cluster()
    objects = ReferencedObjects(cluster, clock=clock, notify=told.append, chance=lambda: 0.5)  # type: ignore[arg-type]
    async with background(objects.run):
        yield World(cluster, objects, told, clock, settled)


async def test_nothing_is_asked_while_nobody_refers_to_anything(world: World) -> None:
    assert world.objects.look(CHAT, ()) == {}
    await world.settle()
    assert (world.cluster.asked, world.clock.timers) == ([], [])


async def test_an_object_is_read_once_for_all_who_refer_to_it_and_each_of_them_is_told(world: World) -> None:
    world.put(secret(keys="a\n"))
    assert [world.objects.look(each, [KEYS]) for each in (CHAT, CODE)] == [{KEYS: None}] * 2
    await world.settle()
    assert (world.cluster.asked, world.told) == ([("Secret", Key("team", "keys"))], [CHAT, CODE])
    assert world.objects.look(CHAT, [KEYS]) == world.objects.look(CODE, [KEYS])
    await world.settle()
    assert len(world.cluster.asked) == 1


async def test_an_object_of_the_same_name_elsewhere_is_another_one(world: World) -> None:
    world.put(secret(keys="a"))
    world.objects.look(CHAT, [KEYS])
    world.objects.look(OTHER, [KEYS])
    await world.settle()
    assert world.objects.look(OTHER, [KEYS]) == {KEYS: Found(problem="none")}
    assert world.objects.look(CHAT, [KEYS]) != {KEYS: Found(problem="none")}


async def test_it_is_read_again_now_and_then_and_told_only_when_it_has_changed(world: World) -> None:
    world.put(secret(keys="a"))
    world.objects.look(CHAT, [KEYS])
    await world.settle()
    before = world.objects.look(CHAT, [KEYS])
    assert [each.delay for each in world.clock.timers] == [60.0]
    world.clock.fire()
    await world.settle()
    assert (world.told, world.objects.look(CHAT, [KEYS])) == ([CHAT], before)
    world.put(secret(keys="b"))
    world.clock.fire()
    await world.settle()
    assert world.told == [CHAT, CHAT]
    assert world.objects.look(CHAT, [KEYS]) != before


async def test_a_missing_one_is_looked_for_soon_and_then_ever_more_rarely(world: World) -> None:
    world.objects.look(CHAT, [KEYS])
    delays = []
    for _ in range(9):
        await world.settle()
        delays += [each.delay for each in world.clock.timers]
        world.clock.fire()
    assert (delays[0], delays[-1], sorted(delays)) == (1.0, 60.0, delays)
    assert world.told == [CHAT]


async def test_ten_thousand_are_read_more_rarely_than_a_few(world: World) -> None:
    for number in range(10_000):
        world.objects.look(Key("team", f"service-{number}"), [Reference("Secret", f"keys-{number}")])
    while len(world.clock.timers) < 10_000:
        await world.settle()
    assert {each.delay for each in world.clock.timers} == {500.0}, "twenty a second"


async def test_one_that_may_not_be_read_says_so(world: World) -> None:
    world.put(Forbidden(403, "Forbidden", "secrets keys is forbidden"))
    world.objects.look(CHAT, [KEYS])
    await world.settle()
    (found,) = world.objects.look(CHAT, [KEYS]).values()
    assert found is not None
    assert "secrets keys is forbidden" in found.problem


async def test_what_was_read_counts_while_the_api_server_does_not_answer(world: World) -> None:
    world.put(secret(keys="a"))
    world.objects.look(CHAT, [KEYS])
    await world.settle()
    before = world.objects.look(CHAT, [KEYS])
    world.put(TransportError("connection refused"))
    world.clock.fire()
    await world.settle()
    assert (world.objects.look(CHAT, [KEYS]), world.told) == (before, [CHAT])
    assert [each.delay for each in world.clock.timers] == [1.0]


async def test_an_api_server_that_hangs_holds_nobody_up(clock: Any, background: Any) -> None:
    class Hanging(Cluster):
        async def get(self, kind: Kind[Data], key: Key) -> Data:
            await asyncio.Event().wait()
            raise AssertionError

    told = asyncio.Event()
    objects = ReferencedObjects(Hanging(), clock=clock, notify=lambda _: told.set(), timeout=0.01)  # type: ignore[arg-type]
    async with background(objects.run):
        objects.look(CHAT, [KEYS])
        await told.wait()
    assert objects.look(CHAT, [KEYS]) == {KEYS: Found(problem="no answer from the API server")}


async def test_whoever_nobody_refers_to_any_more_is_no_longer_read(world: World) -> None:
    world.objects.look(CHAT, [KEYS, TEMPLATE])
    world.objects.look(CODE, [KEYS])
    await world.settle()
    world.objects.forget(CHAT)
    world.cluster.asked.clear()
    world.clock.fire()
    await world.settle()
    assert world.cluster.asked == [("Secret", Key("team", "keys"))]
    world.objects.forget(CODE)
    world.clock.fire()
    await world.settle()
    assert (len(world.cluster.asked), world.clock.timers) == (1, [])


async def test_what_is_kept_does_not_tell_the_content(world: World) -> None:
    world.put(secret(keys="hunter2"))
    world.objects.look(CHAT, [KEYS])
    await world.settle()
    assert "hunter2" not in repr(vars(world.objects)) + repr(world.objects._watched.values())
