"""Holding a lease, request by request, on a clock that the test moves: it is renewed, lost or given up."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from tests.wire.kube.lease_server import Hands, Kept, led, of, refusal, some_hang, some_tries, standing_by, until

from llmkube.kube.client import Client
from llmkube.kube.lease import LeaderElector, LeaseLostError, Timing


async def refused_by_a_broken_server(_: web.Request) -> web.Response:
    return refusal(500, "InternalError")


async def test_a_leader_that_cannot_renew_until_its_deadline_has_lost_and_its_work_is_cancelled(
    elector: LeaderElector, kept: Kept, clock: Hands
) -> None:
    task, work = await led(elector)
    kept.before = refused_by_a_broken_server
    clock.at += 9.9
    await some_tries(kept)
    assert not task.done()
    clock.at += 0.2
    with pytest.raises(LeaseLostError, match="not renewed for 10 s"):
        await task
    assert work.cancelled
    assert kept.said[-1] == ("GET", None), "it does not give up what another may hold by now"


async def test_a_server_that_falls_silent_is_given_up_at_the_deadline(client: Client, kept: Kept, clock: Hands) -> None:
    timing = Timing(duration=15, renew_deadline=0.2, retry=0.001)
    elector = LeaderElector(client, namespace="default", name="one", identity="me", clock=clock, timing=timing)
    task, work = await led(elector)

    async def silent(_: web.Request) -> None:
        clock.at += 0.2
        await asyncio.Event().wait()

    kept.before = silent
    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(task, 10)
    assert work.cancelled


async def test_a_server_that_fails_for_a_while_costs_nothing(elector: LeaderElector, kept: Kept, clock: Hands) -> None:
    task, work = await led(elector)
    kept.before = refused_by_a_broken_server
    clock.at += 9
    await some_tries(kept)
    kept.before = None
    renewed = kept.version
    await until(lambda: kept.version > renewed)
    clock.at += 9
    await some_tries(kept)
    work.end.set()
    await task


async def test_a_renewal_that_loses_against_somebody_who_only_edits_the_lease_is_tried_again(
    elector: LeaderElector, kept: Kept
) -> None:
    task, work = await led(elector)
    edits = 0

    async def edited(request: web.Request) -> None:
        nonlocal edits
        if request.method == "PUT" and edits < 3:
            edits += 1
            kept.put(kept.spec)

    kept.before = edited
    await until(lambda: edits == 3)
    await some_tries(kept)
    work.end.set()
    await task


async def test_a_renewal_whose_answer_got_lost_was_one(elector: LeaderElector, kept: Kept) -> None:
    task, work = await led(elector)
    lost = 0

    async def torn(request: web.Request) -> None:
        nonlocal lost
        if request.method == "PUT" and lost < 3:
            lost += 1
            kept.put((await request.json())["spec"])
            assert request.transport is not None
            request.transport.abort()

    kept.before = torn
    await until(lambda: lost == 3)
    await some_tries(kept)
    work.end.set()
    await task


async def test_a_leader_that_finds_another_has_lost_at_once(elector: LeaderElector, kept: Kept) -> None:
    task, work = await led(elector)
    kept.put(of("you"))
    with pytest.raises(LeaseLostError, match="taken by 'you'"):
        await asyncio.wait_for(task, 10)
    assert work.cancelled
    assert kept.holder == "you"


async def test_a_lease_that_is_deleted_while_its_holder_leads_is_made_again(elector: LeaderElector, kept: Kept) -> None:
    task, work = await led(elector)
    kept.put(None)
    await until(lambda: kept.holder == "me")
    assert not task.done()
    work.end.set()
    await task


async def test_a_lease_that_is_deleted_is_still_its_holders_until_it_would_have_run_out(
    elector: LeaderElector, kept: Kept, clock: Hands
) -> None:
    kept.put(of("you"))
    async with standing_by(elector) as work:
        await some_tries(kept)
        kept.put(None)
        clock.at += 15
        await some_tries(kept)
        assert kept.count("POST") == 0
        clock.at += 0.1
        await until(lambda: kept.holder == "me")
        assert not work.began.is_set()


async def test_a_lease_is_given_up_once_the_work_has_ended_and_nothing_follows(
    elector: LeaderElector, kept: Kept
) -> None:
    task, work = await led(elector)
    assert "" not in [holder for _, holder in kept.said]
    work.end.set()
    await task
    assert kept.said[-1] == ("PUT", "")
    assert kept.spec is not None
    assert (kept.holder, kept.spec["leaseDurationSeconds"]) == ("", 1)


async def test_a_renewal_that_is_under_way_at_the_end_does_not_keep_the_lease(
    elector: LeaderElector, kept: Kept
) -> None:
    task, work = await led(elector)
    arrived = asyncio.Event()

    async def slow(request: web.Request) -> web.Response | None:
        if request.method != "PUT" or arrived.is_set():
            return None
        kept.put((await request.json())["spec"])
        arrived.set()
        return await asyncio.Event().wait()

    kept.before = slow
    await arrived.wait()
    work.end.set()
    await task
    assert kept.holder == ""


async def test_what_another_took_is_not_given_up(elector: LeaderElector, kept: Kept) -> None:
    task, work = await led(elector)

    async def hangs(_: web.Request) -> web.Response:
        return await asyncio.Event().wait()

    kept.before = hangs
    await some_hang(kept)
    kept.before = None
    kept.put(of("you"))
    work.end.set()
    await task
    assert kept.holder == "you"


async def test_work_that_fails_gives_the_lease_up(elector: LeaderElector, kept: Kept) -> None:
    async def fail() -> None:
        raise ValueError("a bug")

    with pytest.raises(ExceptionGroup):
        await elector.run(fail)
    assert kept.holder == ""


async def test_for_how_long_a_leader_is_sure_counts_from_its_asking(
    elector: LeaderElector, kept: Kept, clock: Hands
) -> None:
    assert elector.seconds_left() == 0

    async def slow(request: web.Request) -> None:
        clock.at += 3 if request.method == "PUT" and kept.holder != "me" else 0

    kept.before = slow
    task, work = await led(elector)
    assert elector.seconds_left() == 12
    work.end.set()
    await task
    assert elector.seconds_left() == 0


async def test_a_leader_whose_lease_is_out_of_date_says_so_and_nobody_else_does(
    elector: LeaderElector, kept: Kept, clock: Hands
) -> None:
    assert elector.check() == ""
    task, _ = await led(elector)
    clock.at += 15
    assert elector.check() == ""
    clock.at += 0.1
    assert elector.check() == "leading, but lease default/one was not renewed for more than 15 s"
    with pytest.raises(LeaseLostError):
        await task
    assert elector.check() == ""


@pytest.mark.parametrize(
    ("times", "trouble"),
    [
        ((15, 10.0, 2.0), ""),
        ((10, 10.0, 2.0), "expected a lease duration above the renew deadline, found 10 and 10"),
        ((15, 2.4, 2.0), "expected a renew deadline above 1.2 times the retry period, found 2.4 and 2"),
        ((15, 10.0, 0.0), "expected a renew deadline above 1.2 times the retry period, found 10 and 0"),
    ],
)
def test_times_with_which_two_could_lead_are_refused(times: tuple[int, float, float], trouble: str) -> None:
    assert Timing(*times).trouble() == trouble


async def test_work_that_is_cancelled_has_no_lease_any_more(elector: LeaderElector, kept: Kept) -> None:
    left: list[float] = []
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.append(elector.seconds_left())

    task = asyncio.create_task(elector.run(work))
    await began.wait()
    kept.put(of("you"))
    with pytest.raises(LeaseLostError):
        await task
    assert left == [0]


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("said", [{"status": "ok"}, {"kind": "Status", "status": "Failure", "code": 503}])
async def test_what_a_gateway_says_in_json_renews_nothing(
    elector: LeaderElector, kept: Kept, clock: Hands, method: str, said: dict[str, str]
) -> None:
    """With a 200: an empty Lease would be nobody's, and its holder us, for as long as the gateway says so."""
    task, work = await led(elector)

    async def maintained(request: web.Request) -> web.Response | None:
        return web.json_response(said) if request.method == method else None

    kept.before = maintained
    await some_tries(kept)
    clock.at += 10.1
    with pytest.raises(LeaseLostError, match="not renewed for 10 s"):
        await task
    assert work.cancelled
