"""Waiting for a lease, request by request, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from tests.wire.kube.lease_server import LONG_AGO, Hands, Kept, Worker, led, of, refusal, some_tries, standing_by

from llmkube.kube.lease import LeaderElector, LeaseLostError

NEVER = "2999-01-01T00:00:00.000000Z"


async def test_an_absent_lease_is_made_and_its_first_holder_is_no_transition(
    elector: LeaderElector, kept: Kept
) -> None:
    kept.put(None)
    async with standing_by(elector):
        await some_tries(kept)
        assert kept.spec is not None
        assert (kept.holder, kept.spec["leaseDurationSeconds"], kept.spec["leaseTransitions"]) == ("me", 15, 0)


async def test_who_made_the_lease_leads_once_a_holder_whose_lease_was_deleted_would_have_given_up(
    elector: LeaderElector, kept: Kept, clock: Hands
) -> None:
    kept.put(None)
    async with standing_by(elector) as work:
        for seconds in (0.0, 9.0, 5.9):
            clock.at += seconds
            await some_tries(kept)
            assert (kept.holder, work.began.is_set(), elector.seconds_left()) == ("me", False, 0)
        clock.at += 0.2
        async with asyncio.timeout(10):
            await work.began.wait()
        assert elector.seconds_left() > 0


async def test_who_made_the_lease_and_never_heard_so_waits_as_well(
    elector: LeaderElector, kept: Kept, clock: Hands
) -> None:
    async def lose_the_answer(request: web.Request) -> web.Response | None:
        if request.method != "POST":
            return None
        kept.put((await request.json())["spec"])
        return refusal(500, "Timeout")

    kept.put(None)
    kept.before = lose_the_answer
    async with standing_by(elector) as work:
        for seconds in (0.0, 9.0, 5.9):
            clock.at += seconds
            await some_tries(kept)
            assert (kept.holder, work.began.is_set(), elector.seconds_left()) == ("me", False, 0)
        clock.at += 0.2
        async with asyncio.timeout(10):
            await work.began.wait()


async def test_who_made_the_lease_gives_way_to_a_holder_that_makes_it_again(elector: LeaderElector, kept: Kept) -> None:
    kept.put(None)
    work = Worker()
    task = asyncio.create_task(elector.run(work))
    await some_tries(kept)
    kept.put(of("you"))
    with pytest.raises(LeaseLostError, match="taken by 'you'"):
        await asyncio.wait_for(task, 10)
    assert not work.began.is_set()


async def test_who_made_the_lease_and_ends_before_it_leads_leaves_its_name_in_it(
    elector: LeaderElector, kept: Kept
) -> None:
    """An empty holder would say that nobody leads, and whose lease was deleted may do so yet (seed 22254)."""
    kept.put(None)
    task = asyncio.create_task(elector.run(Worker()))
    await some_tries(kept)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kept.holder == "me"


async def test_a_lease_that_had_to_be_made_once_more_is_waited_for_anew(
    elector: LeaderElector, kept: Kept, clock: Hands
) -> None:
    kept.put(None)
    async with standing_by(elector) as work:
        await some_tries(kept)
        clock.at += 9
        kept.put(None)
        await some_tries(kept)
        clock.at += 9
        await some_tries(kept)
        assert not work.began.is_set()


async def test_who_finds_an_absent_lease_just_made_by_another_stands_by(elector: LeaderElector, kept: Kept) -> None:
    kept.put(None)

    async def made_by_another(request: web.Request) -> None:
        if request.method == "POST" and kept.spec is None:
            kept.put(of("you"))

    kept.before = made_by_another
    async with standing_by(elector):
        await some_tries(kept)
        assert kept.holder == "you"


async def test_of_two_that_read_the_same_lease_the_one_that_writes_later_stands_by(
    elector: LeaderElector, kept: Kept
) -> None:
    kept.put(of(""))

    async def taken_by_another(request: web.Request) -> None:
        if request.method == "PUT" and kept.holder == "":
            kept.put(of("you"))

    kept.before = taken_by_another
    async with standing_by(elector):
        await some_tries(kept)
        assert (kept.holder, kept.count("PUT")) == ("you", 1)


@pytest.mark.parametrize("told", [LONG_AGO, NEVER])
async def test_a_lease_runs_out_when_it_was_not_seen_to_change_for_its_duration_whatever_times_it_tells(
    elector: LeaderElector, kept: Kept, clock: Hands, told: str
) -> None:
    kept.put(of("you", renewTime=told, acquireTime=told))
    async with standing_by(elector) as work:
        await some_tries(kept)
        clock.at += 15
        await some_tries(kept)
        assert kept.holder == "you"
        clock.at += 0.1
        async with asyncio.timeout(10):
            await work.began.wait()
    assert kept.spec is not None
    assert kept.spec["leaseTransitions"] == 5


async def test_a_lease_that_changes_is_alive(elector: LeaderElector, kept: Kept, clock: Hands) -> None:
    kept.put(of("you"))
    async with standing_by(elector):
        for _ in range(3):
            await some_tries(kept)
            clock.at += 14
            kept.put(of("you"))
        await some_tries(kept)
        assert kept.holder == "you"


@pytest.mark.parametrize("spec", [{}, {"holderIdentity": ""}, {"holderIdentity": None}, {"renewTime": NEVER}])
async def test_a_lease_that_nobody_holds_is_taken_at_once(
    elector: LeaderElector, kept: Kept, spec: dict[str, Any]
) -> None:
    kept.put(spec)
    task, work = await led(elector)
    assert kept.holder == "me"
    work.end.set()
    await task


@pytest.mark.parametrize("duration", [0, None])
async def test_a_lease_that_does_not_say_for_how_long_it_is_good_is_good_for_our_own_duration(
    elector: LeaderElector, kept: Kept, clock: Hands, duration: int | None
) -> None:
    kept.put(of("you", leaseDurationSeconds=duration))
    async with standing_by(elector) as work:
        await some_tries(kept)
        clock.at += 15
        await some_tries(kept)
        assert kept.holder == "you"
        clock.at += 0.1
        async with asyncio.timeout(10):
            await work.began.wait()


async def test_a_lease_that_is_good_for_longer_than_ours_is_waited_for(
    elector: LeaderElector, kept: Kept, clock: Hands
) -> None:
    kept.put(of("you", leaseDurationSeconds=60))
    async with standing_by(elector):
        await some_tries(kept)
        clock.at += 60
        await some_tries(kept)
        assert kept.holder == "you"
