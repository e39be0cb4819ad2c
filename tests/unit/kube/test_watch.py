"""When a watcher asks, for how long, from where, and how long it waits after what: in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from tests.sim.loop import run
from tests.wire.kube.conftest import end_of_initial, event, pod

from llmkube.kube.errors import ApiError, TransportError, of_status
from llmkube.kube.kinds import POD
from llmkube.kube.objects import Pod
from llmkube.kube.watch import Watcher

LARGE = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
INITIAL = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
ALWAYS = {"watch": "1", "allowWatchBookmarks": "true"}
Said = bytes | float | Exception


class Asked(NamedTuple):
    at: float
    params: dict[str, str]
    idle_timeout: float


class Server:
    """Says what it is told to, stream by stream: lines, seconds of silence, failures; then it is silent for ever."""

    def __init__(self, *streams: Sequence[Said], page: ApiError | None = None) -> None:
        self.transport = self
        self.streams = list(streams)
        self.page = page
        self.asked: list[Asked] = []
        self.listed: list[dict[str, str]] = []

    @asynccontextmanager
    async def stream(
        self, _path: str, *, params: Mapping[str, str], idle_timeout: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.append(Asked(asyncio.get_running_loop().time(), dict(params), idle_timeout))
        said = self.streams.pop(0) if self.streams else [float("inf")]
        if said and isinstance(said[0], Exception):
            raise said[0]
        yield self._lines(said)

    async def _lines(self, said: Sequence[Said]) -> AsyncIterator[bytes]:
        for each in said:
            if isinstance(each, bytes):
                yield each
            elif isinstance(each, Exception):
                raise each
            else:
                await asyncio.sleep(min(each, 1e6))

    async def request(self, _method: str, _path: str, *, params: Mapping[str, str], timeout: float) -> bytes:
        self.listed.append(dict(params))
        return b'{"metadata": {"resourceVersion": "7"}, "items": []}'


class Sink:
    def __init__(self) -> None:
        self.lists: list[tuple[list[str], str]] = []
        self.is_absent = False

    async def replaced(self, listed: Sequence[Pod], version: str) -> None:
        self.lists.append(([each.metadata.name for each in listed], version))

    def changed(self, obj: Pod) -> None: ...
    def deleted(self, obj: Pod) -> None: ...
    def progressed(self, version: str) -> None: ...


@pytest.fixture(autouse=True)
def _longest_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 1.0)


def followed(server: Server, *, seconds: float = 100.0, optional: bool = False) -> Sink:
    """Follow for so long."""
    sink = Sink()

    async def main() -> None:
        watcher = Watcher(server, POD, sink, optional=optional)  # type: ignore[arg-type]
        watching = asyncio.create_task(watcher.run())
        await asyncio.sleep(seconds)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        sink.is_absent = watcher.is_absent

    run(main)
    return sink


def without_time(params: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in params.items() if name != "timeoutSeconds"}


def busy(seconds: float) -> ApiError:
    error = of_status(429, "TooManyRequests", "slow down")
    error.retry_after = seconds
    return error


SYNCED = [end_of_initial(5), 60.0]


def test_a_watch_list_is_asked_for_as_kep_3157_says_and_what_follows_from_a_version() -> None:
    server = Server(SYNCED)
    followed(server)
    assert [without_time(each.params) for each in server.asked] == [
        {**ALWAYS, **INITIAL},
        {**ALWAYS, "resourceVersion": "5"},
    ]


def test_a_watch_is_asked_for_five_to_ten_minutes_at_random_and_given_up_five_seconds_of_silence_later() -> None:
    server = Server(*[[end_of_initial(5), 2.0]] * 40)
    followed(server, seconds=70)
    times = [float(each.params["timeoutSeconds"]) for each in server.asked]
    assert len(set(times)) > 10
    assert all(300 <= each <= 600 for each in times)
    assert [each.idle_timeout for each in server.asked] == [each + 5 for each in times]


def test_initial_events_end_at_their_own_bookmark_and_no_version_before_it_counts() -> None:
    early = event("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "80"}})
    initial = [event("ADDED", pod("b", 90)), early, event("MODIFIED", pod("a", 85)), event("DELETED", pod("b", 91))]
    server = Server([*initial, TransportError("reset")], [*initial, end_of_initial(95), 60.0])
    sink = followed(server)
    assert sink.lists == [(["a"], "95")]
    assert [each.params.get("resourceVersion") for each in server.asked] == [None, None, "95"]


@pytest.mark.parametrize(
    "failure",
    [
        busy(0),
        TransportError("connection refused"),
        of_status(410, "Expired", "too old"),
        of_status(504, "Timeout", "Too large resource version: 9, current: 3", LARGE),
    ],
    ids=["429", "refused", "410", "too large"],
)
def test_what_says_nothing_against_watch_lists_is_waited_for_and_a_watch_list_is_asked_for_again(
    failure: Exception,
) -> None:
    server = Server([failure], [failure], [failure], SYNCED)
    followed(server)
    assert [without_time(each.params) for each in server.asked[:4]] == [{**ALWAYS, **INITIAL}] * 4
    assert [each.at for each in server.asked[:4]] == pytest.approx([0, 0.8, 2.4, 5.6])
    assert server.listed == []


@pytest.mark.parametrize("code", [400, 403, 404, 422, 500])
def test_any_other_refusal_of_a_watch_list_makes_a_list_at_once_in_pages_of_500(code: int) -> None:
    server = Server([of_status(code, "", "no")])
    sink = followed(server)
    assert server.listed == [{"limit": "500"}]
    assert sink.lists == [([], "7")]
    assert (server.asked[1].at, server.asked[1].params["resourceVersion"]) == (0, "7")


GONE = of_status(404, "NotFound", "the server could not find the requested resource")


def test_an_optional_kind_that_is_not_served_is_empty_and_asked_for_once_a_minute() -> None:
    server = Server(*[[GONE]] * 9)
    sink = followed(server, seconds=150, optional=True)
    assert [each.at for each in server.asked] == [0, 60, 120]
    assert sink.lists == [([], "")], "it is told once that there is nothing"
    assert (server.listed, sink.is_absent) == ([], True)


def test_an_optional_kind_is_followed_once_it_is_served() -> None:
    server = Server([GONE], [event("ADDED", pod("one", 4)), *SYNCED])
    sink = followed(server, optional=True)
    assert sink.lists == [([], ""), (["one"], "5")]
    assert not sink.is_absent


def test_what_there_was_of_an_optional_kind_goes_when_it_is_served_no_more() -> None:
    server = Server([event("ADDED", pod("one", 4)), end_of_initial(5), 20.0], *[[GONE]] * 9)
    sink = followed(server, optional=True)
    assert sink.lists == [(["one"], "5"), ([], "")]
    assert sink.is_absent


def test_watch_lists_that_break_off_again_and_again_make_a_list() -> None:
    half = [event("ADDED", pod("ghost", 4)), TransportError("reset")]
    server = Server(half, half)
    assert followed(server).lists == [([], "7")]


@pytest.mark.parametrize(
    "told",
    [
        event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"}),
        event("ERROR", {"kind": "Status", "code": 504, "reason": "Timeout", "details": LARGE}),
        of_status(410, "Expired", "too old"),
        of_status(504, "Timeout", "Too large resource version: 9, current: 3", LARGE),
    ],
    ids=["410 in the stream", "too large in the stream", "410", "too large"],
)
def test_a_version_that_the_server_does_not_have_makes_a_list_at_the_latest_after_a_moment(told: Said) -> None:
    server = Server(SYNCED, [told], SYNCED)
    assert len(followed(server).lists) == 2
    assert without_time(server.asked[2].params) == {**ALWAYS, **INITIAL}
    assert server.asked[2].at - server.asked[1].at == pytest.approx(0.8)


@pytest.mark.parametrize(
    "failure",
    [
        of_status(500, "InternalError", "etcd is away"),
        of_status(503, "ServiceUnavailable", "starting"),
        TransportError("connection refused"),
        event("ERROR", {"kind": "Status", "code": 500, "reason": "InternalError"}),
    ],
    ids=["500", "503", "refused", "500 in the stream"],
)
def test_a_failure_is_waited_out_twice_as_long_each_time_and_nothing_is_listed(failure: Said) -> None:
    server = Server(SYNCED, [failure], [failure], [failure])
    assert len(followed(server).lists) == 1
    assert [each.params.get("resourceVersion") for each in server.asked] == [None, *["5"] * 4]
    assert [each.at for each in server.asked[1:]] == pytest.approx([60, 60.8, 62.4, 65.6])


def test_an_error_in_the_stream_that_began_with_the_list_is_waited_out_too() -> None:
    server = Server([end_of_initial(5), event("ERROR", {"kind": "Status", "code": 500, "reason": "InternalError"})])
    assert len(followed(server).lists) == 1
    assert [each.at for each in server.asked] == pytest.approx([0, 0.8])
    assert server.asked[1].params["resourceVersion"] == "5"


@pytest.mark.parametrize(("said", "waited"), [(7, 7), (0, 0.8), (86400, 300)])
def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(said: float, waited: float) -> None:
    server = Server(SYNCED, [busy(said)])
    followed(server, seconds=1000)
    assert server.asked[2].at - server.asked[1].at == pytest.approx(waited)


def test_a_watch_that_ends_at_once_without_an_event_is_not_asked_for_in_a_loop() -> None:
    server = Server(SYNCED, [], [], [event("ADDED", pod("a", 6))], [1.5], [])
    followed(server)
    assert [each.at for each in server.asked[1:]] == pytest.approx([60, 60.8, 62.4, 62.4, 63.9, 67.1])


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"])
def test_a_watch_goes_on_from_whatever_it_heard_last(kind: str) -> None:
    server = Server(SYNCED, [event(kind, pod("a", 8))])
    followed(server)
    assert server.asked[2].params["resourceVersion"] == "8"


@pytest.mark.parametrize(
    "line",
    [
        b"<html>Sign in</html>",
        b"7",
        b"[]",
        b'{"kind": "Status", "status": "Failure"}',
        event("RENAMED", pod("a", 9)),
        b'{"type": "ADDED", "object": "a pod"}',
        b'{"type": "ADDED", "object": {"metadata": {"name": 1, "resourceVersion": "9"}}}',
        event("ADDED", pod("a", 9))[:-20],
        event("ADDED", pod("a", 9)).replace(b"default", b"\xff\xfe"),
        event("ADDED", pod("a", 9)).replace(b'"metadata"', b'"x": %s, "metadata"' % (b"[" * 9999 + b"]" * 9999)),
    ],
)
def test_a_line_that_is_no_event_moves_nothing_and_is_waited_out(line: bytes) -> None:
    server = Server(SYNCED, [line])
    followed(server)
    assert server.asked[2].params["resourceVersion"] == "5"
    assert server.asked[2].at - server.asked[1].at == pytest.approx(0.8)
