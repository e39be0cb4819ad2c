"""The resolver: answers kept by state, failures tried again, questions that nobody has any more dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from llmkube.controllers.resolver import Resolver
from llmkube.desired.resolution import Known, Unresolved
from llmkube.kube.errors import TransportError
from llmkube.kube.kinds import Key
from llmkube.models.errors import SourceError

TINY, HUGE = Key("team", "tiny"), Key("team", "huge")
ANSWER = Known(size_bytes=1000)


@dataclass
class Question:
    """A source that answers when it is let, with what it is told to."""

    answers: list[Known | Exception] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    cancelled: int = 0

    async def __call__(self) -> Known:
        self.asked += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        answer = self.answers.pop(0) if self.answers else ANSWER
        if isinstance(answer, Exception):
            raise answer
        return answer


def answering(*answers: Known | Exception) -> Question:
    question = Question(list(answers))
    question.gate.set()
    return question


@dataclass
class World:
    resolver: Resolver
    told: list[Key]
    clock: Any
    settle: Callable[[], Any]


@pytest.fixture
async def world(clock: Any, settled: Any, background: Any) -> AsyncIterator[World]:
    told: list[Key] = []
    resolver = Resolver(clock=clock, notify=told.append, at_once=2, chance=lambda: 0.5)
    async with background(resolver.run):
        yield World(resolver, told, clock, settled)


async def test_an_answer_is_told_and_kept_for_its_state(world: World) -> None:
    question = answering()
    world.resolver.request(TINY, 1, question)
    assert world.resolver.result(TINY, 1) is None
    await world.settle()
    assert (world.resolver.result(TINY, 1), world.told) == (ANSWER, [TINY])
    world.resolver.request(TINY, 1, question)
    await world.settle()
    assert question.asked == 1


async def test_another_state_cancels_the_question_about_the_old_one(world: World) -> None:
    old = Question()
    world.resolver.request(TINY, 1, old)
    await world.settle()
    world.resolver.request(TINY, 2, answering())
    await world.settle()
    assert old.cancelled == 1
    assert world.resolver.result(TINY, 1) is None
    assert world.resolver.result(TINY, 2) == ANSWER


async def test_a_failure_that_may_heal_is_told_and_tried_again_later_and_later(world: World) -> None:
    busy = SourceError("ServerError", "HTTP 503", retryable=True)
    world.resolver.request(TINY, 1, answering(busy, busy))
    await world.settle()
    failed = world.resolver.result(TINY, 1)
    assert isinstance(failed, Unresolved)
    assert (failed.permanent, failed.trouble.reason) == (False, "ServerError")
    delays = [each.delay for each in world.clock.timers]
    world.clock.fire()
    await world.settle()
    delays += [each.delay for each in world.clock.timers]
    assert delays == [5.0, 10.0]
    world.clock.fire()
    await world.settle()
    assert world.resolver.result(TINY, 1) == ANSWER
    assert world.told == [TINY, TINY, TINY]


async def test_a_permanent_failure_is_not_tried_again(world: World) -> None:
    world.resolver.request(TINY, 1, answering(SourceError("NotGGUF", "found HTML", retryable=False)))
    await world.settle()
    failed = world.resolver.result(TINY, 1)
    assert isinstance(failed, Unresolved)
    assert failed.permanent
    assert world.clock.timers == []


async def test_what_somebody_may_mend_elsewhere_is_asked_again_now_and_then(world: World) -> None:
    refused = SourceError("Unauthorized", "HTTP 401", retryable=False)
    world.resolver.request(TINY, 1, answering(refused, refused))
    await world.settle()
    failed = world.resolver.result(TINY, 1)
    assert isinstance(failed, Unresolved)
    assert (failed.permanent, failed.attempts) == (True, 1)
    assert failed.again == world.clock.now() + timedelta(seconds=60)
    delays = [each.delay for each in world.clock.timers]
    world.clock.fire()
    await world.settle()
    again = world.resolver.result(TINY, 1)
    assert isinstance(again, Unresolved)
    assert (again.attempts, delays, [each.delay for each in world.clock.timers]) == (2, [60.0], [120.0])
    world.clock.fire()
    await world.settle()
    assert world.resolver.result(TINY, 1) == ANSWER


@pytest.mark.parametrize(("asked", "waited"), [(30.0, 30.0), (1.0, 5.0), (1e9, 3600.0)])
async def test_a_server_that_says_when_to_come_again_is_not_asked_before(
    asked: float, waited: float, world: World
) -> None:
    busy = SourceError("TooManyRequests", "HTTP 429", retry_after=asked)
    world.resolver.request(TINY, 1, answering(busy))
    await world.settle()
    assert [each.delay for each in world.clock.timers] == [waited]


async def test_pauses_differ_so_that_not_all_ask_at_once(clock: Any, settled: Any, background: Any) -> None:
    chances = iter((0.0, 0.999))
    resolver = Resolver(clock=clock, notify=lambda _: None, chance=lambda: next(chances))
    async with background(resolver.run):
        for key in (TINY, HUGE):
            resolver.request(key, 1, answering(SourceError("ServerError", "HTTP 503", retryable=True)))
            await settled()
    assert [round(each.delay, 1) for each in clock.timers] == [4.0, 6.0]


async def test_what_is_looked_at_now_and_then_is_asked_within_its_period_and_told_only_when_it_changed(
    world: World,
) -> None:
    changed = Known(size_bytes=2000)
    question = answering(ANSWER, ANSWER, changed)
    world.resolver.request(TINY, 1, question, every=600.0)
    await world.settle()
    assert (question.asked, [each.delay for each in world.clock.timers]) == (0, [300.0])
    for _ in range(3):
        world.clock.fire()
        await world.settle()
    assert (question.asked, world.told) == (3, [TINY, TINY])
    assert world.resolver.result(TINY, 1) == changed
    assert [each.delay for each in world.clock.timers] == [600.0]


@pytest.mark.parametrize("error", [KeyError("a bug"), TransportError("no answer"), ConnectionResetError("reset")])
async def test_no_failure_of_one_question_ends_the_answering_of_others(world: World, error: Exception) -> None:
    world.resolver.request(TINY, 1, answering(error))
    await world.settle()
    failed = world.resolver.result(TINY, 1)
    assert isinstance(failed, Unresolved)
    assert not failed.permanent
    world.resolver.request(HUGE, 1, answering())
    await world.settle()
    assert world.resolver.result(HUGE, 1) == ANSWER


async def test_no_more_questions_than_allowed_are_asked_at_once(world: World) -> None:
    questions = [Question() for _ in range(4)]
    for index, question in enumerate(questions):
        world.resolver.request(Key("team", f"m{index}"), 1, question)
    await world.settle()
    assert [each.asked for each in questions] == [1, 1, 0, 0]
    questions[0].gate.set()
    await world.settle()
    assert [each.asked for each in questions] == [1, 1, 1, 0]


async def test_a_model_that_is_gone_is_forgotten_while_it_waits_for_its_turn(world: World) -> None:
    first, second, third = Question(), Question(), Question()
    for index, question in enumerate((first, second, third)):
        world.resolver.request(Key("team", f"m{index}"), 1, question)
    await world.settle()
    world.resolver.forget(Key("team", "m2"))
    first.gate.set()
    await world.settle()
    assert third.asked == 0
    assert world.resolver.result(Key("team", "m2"), 1) is None


async def test_a_source_that_never_answers_is_given_up_and_tried_again(
    clock: Any, settled: Any, background: Any
) -> None:
    told: asyncio.Queue[Key] = asyncio.Queue()
    resolver = Resolver(clock=clock, notify=told.put_nowait, timeout=0.01)
    async with background(resolver.run):
        resolver.request(TINY, 1, Question())
        await told.get()
        failed = resolver.result(TINY, 1)
    assert isinstance(failed, Unresolved)
    assert (failed.permanent, failed.trouble.reason) == (False, "SourceTimeout")
