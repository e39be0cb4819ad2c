"""Watches that stall, break and repeat themselves: nothing is listed that need not be, nothing is told twice."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from tests.wire.kube.conftest import Answer, Script, lines
from tests.wire.kube.test_informer import running, until

from llmkube.kube.backoff import Backoff
from llmkube.kube.client import Client
from llmkube.kube.kinds import POD, Key

TOO_MANY = {"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": "slow down"}
BROKEN = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd is away"}


def torn(content: bytes) -> Answer:
    """A watch whose connection is reset after some bytes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(content)
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer


def dripped(content: bytes) -> Answer:
    """A watch that comes byte by byte, and stays open."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for at in range(len(content)):
            await response.write(content[at : at + 1])
        await asyncio.Event().wait()
        return response

    return answer


def zipped(content: bytes) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(content), headers={"Content-Encoding": "gzip"})

    return answer


async def went_on(script: Script, client: Client, say: Any, fault: Answer) -> None:
    """After a fault the watch goes on from its last version, and nothing is listed again."""
    script.answers = [
        say.lines(say.event("ADDED", say.pod("a", 4)), say.end_of_initial(5)),
        fault,
        say.lines(say.event("ADDED", say.pod("b", 6)), hold=True),
    ]
    async with running(client) as (informer, heard):
        await heard.until("added b")
        assert heard.said == ["added a initially", "added b"]
        assert informer.statistics().relists == 1
    assert [each.get("resourceVersion") for each in script.asked[1:3]] == ["5", "5"]
    assert not any("sendInitialEvents" in each for each in script.asked[1:])


async def test_a_watch_that_is_refused_for_load_goes_on_without_a_list(client: Client, script: Any, say: Any) -> None:
    await went_on(script, client, say, say.whole(TOO_MANY, 429, **{"Retry-After": "0"}))


async def test_a_server_that_fails_for_a_moment_is_not_listed_again(client: Client, script: Any, say: Any) -> None:
    await went_on(script, client, say, say.whole(BROKEN, 500))


async def test_a_connection_that_is_reset_goes_on_where_it_broke(client: Client, script: Any, say: Any) -> None:
    await went_on(script, client, say, torn(b""))


@pytest.mark.parametrize("ends", [torn, lines])
async def test_half_a_line_is_no_event(client: Client, script: Any, say: Any, ends: Callable[[bytes], Answer]) -> None:
    await went_on(script, client, say, ends(say.event("ADDED", say.pod("half", 9))[:60]))


async def test_a_line_without_an_end_is_given_up(
    client: Client, script: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded whatever comes; the real bound is 64 MiB, and an object has 1.5."""
    monkeypatch.setattr("llmkube.kube.answers.MAX_LINE", 1 << 16)
    await went_on(script, client, say, say.lines(b"x" * (1 << 20), hold=True))


async def test_a_watch_that_falls_silent_is_left_for_another(
    client: Client, script: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmkube.kube.watch.SHORTEST_WATCH", 0)
    monkeypatch.setattr("llmkube.kube.watch.LONGEST_WATCH", 0)
    monkeypatch.setattr("llmkube.kube.watch.IDLE_MARGIN", 0.2)
    await went_on(script, client, say, say.lines(hold=True))


async def test_bytes_that_drip_are_lines_in_the_end(client: Client, script: Any, say: Any) -> None:
    script.answers = [dripped(say.event("ADDED", say.pod("a", 4)) + say.end_of_initial(5))]
    async with running(client) as (_, heard):
        await heard.until("added a initially")


async def test_an_answer_may_be_compressed(client: Client, script: Any, say: Any) -> None:
    initial = say.event("ADDED", say.pod("a", 4)) + say.end_of_initial(5)
    script.answers = [zipped(initial), say.lines(hold=True)]
    async with running(client) as (_, heard):
        await heard.until("added a initially")


async def test_a_compressed_list_is_read(client: Client, script: Any, say: Any) -> None:
    listed = {"metadata": {"resourceVersion": "7"}, "items": [say.pod("a", 1)]}
    script.answers = [say.whole(BROKEN, 501), zipped(json.dumps(listed).encode()), say.lines(hold=True)]
    async with running(client) as (_, heard):
        await heard.until("added a initially")


def mangled(encoding: str) -> Answer:
    """An answer that is not encoded as it says, as from a proxy that died in the middle of it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        head = f"HTTP/1.1 200 OK\r\n{encoding}\r\nConnection: close\r\n\r\n"
        assert request.transport is not None
        request.transport.write(head.encode() + b"<html>Bad gateway</html>")
        request.transport.close()
        return web.StreamResponse()

    return answer


ENCODINGS = ["Content-Encoding: gzip", "Transfer-Encoding: chunked", "Content-Length: 4096", "Content-Length: none"]


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_an_answer_that_is_mangled_on_its_way_is_a_lost_one(
    client: Client, script: Any, say: Any, encoding: str
) -> None:
    await went_on(script, client, say, mangled(encoding))
    script.answers = [mangled(encoding), say.whole(say.pod("a", 1))]
    assert (await client.get(POD, Key("default", "a"))).metadata.name == "a"


async def test_a_page_instead_of_a_list_is_asked_for_again(client: Client, script: Any, say: Any) -> None:
    listed = {"metadata": {"resourceVersion": "7"}, "items": [say.pod("a", 1)]}
    script.answers = [say.whole(BROKEN, 501), say.html(), say.whole(listed), say.lines(hold=True)]
    async with running(client) as (informer, heard):
        await heard.until("added a initially")
        assert informer.statistics().relists == 1


async def test_a_version_that_is_refused_before_the_stream_is_listed_anew(
    client: Client, script: Any, say: Any
) -> None:
    expired = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    script.answers = [
        say.lines(say.event("ADDED", say.pod("a", 4)), say.end_of_initial(5)),
        say.whole(expired, 410),
        say.lines(say.event("ADDED", say.pod("b", 8)), say.end_of_initial(9), hold=True),
    ]
    async with running(client) as (_, heard):
        await until(lambda: len(heard.said) == 3)
        assert heard.said == ["added a initially", "deleted a", "added b"]
        assert "resourceVersion" not in script.asked[2]


async def test_an_event_that_comes_twice_is_told_once(client: Client, script: Any, say: Any) -> None:
    changed = say.event("MODIFIED", say.pod("a", 6))
    script.answers = [
        say.lines(
            say.event("ADDED", say.pod("a", 4)), say.end_of_initial(5), changed, changed,
            say.event("ADDED", say.pod("last", 7)), hold=True,
        )
    ]  # fmt: skip
    async with running(client) as (_, heard):
        await heard.until("added last")
        assert heard.said == ["added a initially", "changed a", "added last"]


async def test_an_event_of_the_past_changes_nothing(client: Client, script: Any, say: Any) -> None:
    script.answers = [
        say.lines(
            say.end_of_initial(3),
            say.event("ADDED", say.pod("a", 8, "second")),
            say.event("MODIFIED", say.pod("a", 5, "first")),
            say.event("DELETED", say.pod("a", 6, "first")),
            say.event("ADDED", say.pod("last", 9)),
            hold=True,
        )
    ]
    async with running(client) as (informer, heard):
        await heard.until("added last")
        assert heard.said == ["added a", "added last"]
        kept = informer.store.get(Key("default", "a"))
        assert kept is not None
        assert kept.metadata.uid == "second"


async def test_an_object_made_anew_under_its_name_is_a_deletion_and_an_addition(
    client: Client, script: Any, say: Any
) -> None:
    script.answers = [
        say.lines(say.event("ADDED", say.pod("a", 4, "first")), say.end_of_initial(5), say.expired()),
        say.lines(say.event("ADDED", say.pod("a", 9, "second")), say.end_of_initial(9), hold=True),
    ]
    async with running(client) as (_, heard):
        await until(lambda: len(heard.said) == 3)
        assert heard.said == ["added a initially", "deleted a", "added a"]


async def test_a_server_for_which_every_version_is_too_old_is_waited_for_each_time(
    client: Client, script: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []
    real = Backoff.next

    def counted(self: Backoff) -> float:
        waits.append(len(script.asked))
        return real(self)

    monkeypatch.setattr(Backoff, "next", counted)
    script.answers = [say.lines(say.end_of_initial(5), say.expired())]
    async with running(client):
        await until(lambda: len(script.asked) >= 8)
    assert waits[:7] == list(range(1, 8))
