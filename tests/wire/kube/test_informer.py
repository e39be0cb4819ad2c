"""An informer on API servers that behave badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmkube.kube.client import Client
from llmkube.kube.informer import Informer
from llmkube.kube.kinds import POD, Key
from llmkube.kube.objects import Pod

REFUSED = {"kind": "Status", "code": 422, "reason": "Invalid", "message": "sendInitialEvents is forbidden"}


class Heard:
    """What a handler was told, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.changed = asyncio.Event()

    def __call__(self, old: Pod | None, new: Pod | None, *, initial: bool) -> None:
        verb = "added" if old is None else "deleted" if new is None else "changed"
        pod = new or old
        assert pod is not None
        self.said.append(f"{verb} {pod.metadata.name}{' initially' if initial else ''}")
        self.changed.set()

    async def until(self, text: str) -> None:
        async with asyncio.timeout(5):
            while text not in self.said:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def running(client: Client) -> AsyncIterator[tuple[Informer[Pod], Heard]]:
    informer, heard = Informer(client, POD), Heard()
    informer.add_handler(heard)
    task = asyncio.ensure_future(informer.run())
    try:
        yield informer, heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


async def test_a_watch_list_is_taken_at_once_and_then_followed(client: Client, script: Any, say: Any) -> None:
    initial = [say.event("ADDED", say.pod("b", 7)), say.event("ADDED", say.pod("a", 3)), say.end_of_initial(9)]
    script.answers = [say.lines(*initial, say.event("ADDED", say.pod("c", 10)), hold=True)]
    async with running(client) as (informer, heard):
        await heard.until("added c")
        assert heard.said == ["added b initially", "added a initially", "added c"]
        assert informer.version == 10
        assert script.asked[0]["sendInitialEvents"] == "true"


async def test_a_watch_that_ends_goes_on_from_the_last_version_without_a_list(
    client: Client, script: Any, say: Any
) -> None:
    script.answers = [
        say.lines(say.end_of_initial(5), say.event("ADDED", say.pod("a", 6))),
        say.lines(say.event("MODIFIED", say.pod("a", 8)), hold=True),
    ]
    async with running(client) as (informer, heard):
        await heard.until("changed a")
        assert script.asked[1]["resourceVersion"] == "6"
        assert "sendInitialEvents" not in script.asked[1]
        assert informer.statistics().relists == 1


async def test_after_a_410_what_vanished_meanwhile_is_told_as_deleted(client: Client, script: Any, say: Any) -> None:
    script.answers = [
        say.lines(say.event("ADDED", say.pod("a", 4)), say.event("ADDED", say.pod("b", 5)), say.end_of_initial(5)),
        say.lines(say.expired()),
        say.lines(say.event("ADDED", say.pod("a", 4)), say.end_of_initial(50), hold=True),
    ]
    async with running(client) as (informer, heard):
        await heard.until("deleted b")
        assert heard.said == ["added a initially", "added b initially", "deleted b"]
        assert informer.version == 50


async def test_while_thousands_are_taken_in_others_run_and_the_version_is_not_yet_that_of_the_list(
    client: Client, script: Any, say: Any
) -> None:
    pods = [say.event("ADDED", say.pod(f"p{number}", number + 1)) for number in range(2000)]
    script.answers = [say.lines(*pods, say.end_of_initial(5000), say.event("ADDED", say.pod("last", 5001)), hold=True)]
    async with running(client) as (informer, heard):
        await heard.until("added p0 initially")
        assert 0 < len(informer.store) < 2000
        assert (informer.version, informer.synced.is_set()) == (0, False)
        await heard.until("added last")
        assert heard.said[-2:] == ["added p1999 initially", "added last"]
        assert informer.version == 5001


async def test_initial_events_that_broke_off_are_dropped_and_asked_for_again(
    client: Client, script: Any, say: Any
) -> None:
    script.answers = [
        say.lines(say.event("ADDED", say.pod("ghost", 4)), say.event("MODIFIED", say.pod("ghost", 5))),
        say.lines(say.event("ADDED", say.pod("a", 6)), say.end_of_initial(7), hold=True),
    ]
    async with running(client) as (informer, heard):
        await heard.until("added a initially")
        assert informer.store.get(Key("default", "ghost")) is None
        assert heard.said == ["added a initially"]


async def test_a_server_that_refuses_a_watch_list_is_listed_by_pages(client: Client, script: Any, say: Any) -> None:
    script.answers = [
        say.whole(REFUSED, 422),
        say.whole({"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [say.pod("a", 1)]}),
        say.whole({"metadata": {"resourceVersion": "9"}, "items": [say.pod("b", 2)]}),
        say.lines(say.event("DELETED", say.pod("a", 8)), hold=True),
    ]
    async with running(client) as (_, heard):
        await heard.until("deleted a")
        assert heard.said == ["added a initially", "added b initially", "deleted a"]
        assert script.asked[1:3] == [{"limit": "500"}, {"limit": "500", "continue": "more"}]
        assert script.asked[3]["resourceVersion"] == "7"


async def test_a_continue_token_that_expired_makes_one_full_list(client: Client, script: Any, say: Any) -> None:
    script.answers = [
        say.whole(REFUSED, 422),
        say.whole({"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [say.pod("a", 1)]}),
        say.whole({"kind": "Status", "code": 410, "reason": "Expired", "message": "expired"}, 410),
        say.whole({"metadata": {"resourceVersion": "9"}, "items": [say.pod("a", 1), say.pod("b", 2)]}),
        say.lines(hold=True),
    ]
    async with running(client) as (informer, _):
        await asyncio.wait_for(informer.synced.wait(), 5)
        await until(lambda: len(script.asked) == 5)
        assert "limit" not in script.asked[3]
        assert script.asked[4]["resourceVersion"] == "9"


async def test_a_proxy_that_answers_with_a_page_is_an_error_and_not_an_event(
    client: Client, script: Any, say: Any
) -> None:
    script.answers = [
        say.lines(say.end_of_initial(5)),
        say.html(),
        say.lines(say.event("ADDED", say.pod("a", 6)), hold=True),
    ]
    async with running(client) as (informer, heard):
        await heard.until("added a")
        assert informer.statistics().relists == 1
        assert script.asked[2]["resourceVersion"] == "5"


async def test_what_is_wrong_is_said_while_it_is_wrong(client: Client, script: Any, say: Any) -> None:
    forbidden = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "pods is forbidden"}
    script.answers = [say.whole(forbidden, 403)]
    async with running(client) as (informer, _):
        await until(lambda: informer.last_error != "")
        assert informer.last_error == "pods is forbidden"
        assert not informer.synced.is_set()
        script.answers = [say.healed(5)]
        await asyncio.wait_for(informer.synced.wait(), 5)
        await until(lambda: informer.last_error == "")


async def test_a_watch_that_expired_is_said_until_it_follows_again(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.lines(say.event("ADDED", say.pod("a", 4)), say.end_of_initial(5)), say.lines(say.expired())]
    async with running(client) as (informer, heard):
        await heard.until("added a initially")
        await until(lambda: informer.last_error != "")
        script.answers = [say.healed(6)]
        await until(lambda: informer.last_error == "")


async def test_a_line_of_many_megabytes_is_read(client: Client, script: Any, say: Any) -> None:
    large = say.pod("large", 6)
    large["metadata"]["annotations"] = {"a": "x" * (20 << 20)}
    script.answers = [say.lines(say.end_of_initial(5), say.event("ADDED", large), hold=True)]
    async with running(client) as (_, heard):
        await heard.until("added large")


FAILED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 503, "reason": "Busy"}


@pytest.mark.parametrize("said", [FAILED, {"status": "ok"}, {"metadata": {}, "items": []}])
async def test_json_that_is_no_list_empties_no_store(client: Client, script: Any, say: Any, said: Any) -> None:
    """As some gateways answer, with 200: nothing in it was listed, so that nothing has vanished either."""
    listed = say.whole({"metadata": {"resourceVersion": "7"}, "items": [say.pod("a", 1)]})
    script.answers = [say.whole(REFUSED, 422), listed, say.lines(say.expired()), say.whole(said)]
    async with running(client) as (informer, heard):
        await until(lambda: len(script.asked) > 5)
        assert heard.said == ["added a initially"]
        assert "expected a list of" in str(informer.last_error)


async def test_an_event_without_a_name_or_a_version_is_none(client: Client, script: Any, say: Any) -> None:
    for said in ({"metadata": {"name": "b"}}, {"metadata": {"resourceVersion": "9"}}):
        script.answers = [
            say.lines(say.event("ADDED", say.pod("a", 4)), say.end_of_initial(5)),
            say.lines(say.event("ADDED", said)),
            say.lines(say.event("BOOKMARK", {"metadata": {}})),
            say.lines(say.event("ADDED", say.pod("c", 6)), hold=True),
        ]
        async with running(client) as (informer, heard):
            await heard.until("added c")
            assert heard.said == ["added a initially", "added c"]
            assert informer.statistics().relists == 1
