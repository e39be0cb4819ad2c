"""One file over several connections: how many, how much in memory, and what becomes of each when it goes wrong."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from tests.wire.models.conftest import MEBIBYTE, Fetch, FileServer, gguf

from llmkube.models.errors import SourceError
from llmkube.models.hashing import Hashing
from llmkube.models.partial import Partial
from llmkube.models.progress import Progress
from llmkube.models.slots import FIRST, Slots
from llmkube.models.transfer import CHUNK as REAL_CHUNK

CHUNK, SPAN, WINDOW = 64 << 10, 256 << 10, 3 << 20

pytestmark = pytest.mark.usefixtures("small")

Instead = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


@pytest.fixture(autouse=True)
def _large(server: FileServer) -> None:
    server.content = gguf(6 * MEBIBYTE + 123)


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> list[Slots]:
    made: list[Slots] = []

    class Seen(Slots):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr("llmkube.models.fetch.Slots", Seen)
    return made


def asked(request: web.Request) -> int:
    """The first byte that a request for data asks for; -1 for the request that asks for the size."""
    text = request.headers.get("Range", "bytes=0-").removeprefix("bytes=")
    return -1 if text == "0-0" else int(text.partition("-")[0])


def once(where: int, answer: Callable[[], web.StreamResponse], times: int = 1) -> Instead:
    """Answer so the first times that this byte is asked for."""
    left = [times]

    async def instead(request: web.Request) -> web.StreamResponse | None:
        if asked(request) != where or not left[0]:
            return None
        left[0] -= 1
        return answer()

    return instead


def partials(cache: Path) -> list[str]:
    return sorted(each.name for each in (cache / "v1" / "partial").iterdir())


async def test_a_large_file_comes_over_several_connections_in_spans_of_it(server: FileServer, fetched: Fetch) -> None:
    server.pause = 0.001
    assert (await fetched(sha256=server.sha256)).sha256 == server.sha256
    assert server.busiest == FIRST, "it begins with few"
    starts = [int(each["Range"].removeprefix("bytes=").partition("-")[0]) for each in server.asked[1:]]
    assert sorted(starts) == list(range(0, len(server.content), SPAN)), "each span once"
    assert server.sent == len(server.content) + 1


async def test_without_anything_to_tell_two_answers_apart_there_is_one_connection(
    server: FileServer, fetched: Fetch
) -> None:
    server.etag = ""
    assert (await fetched()).sha256 == server.sha256
    assert (server.busiest, len(server.asked)) == (1, 2)


async def test_a_digest_alone_is_enough_for_several(server: FileServer, fetched: Fetch) -> None:
    server.etag, server.pause = "", 0.001
    assert (await fetched(sha256=server.sha256)).sha256 == server.sha256
    assert server.busiest == FIRST


async def test_what_is_in_memory_is_bounded_however_slow_the_disk_is(
    server: FileServer, fetched: Fetch, slots: list[Slots], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Partial.write

    def slow(self: Partial, *arguments: object) -> None:
        time.sleep(0.005)
        write(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Partial, "write", slow)
    await fetched(sha256=server.sha256)
    assert 0 < slots[0].most_held <= slots[0].limit * 2 * CHUNK
    assert slots[0].held == 0
    assert REAL_CHUNK == MEBIBYTE, "8 connections hold at most 16 MiB"


async def test_every_byte_is_hashed_once_and_never_far_behind_what_is_written(
    server: FileServer, fetched: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance, read_into = Hashing.advance, Partial.read_into
    read, furthest = 0, 0

    def slow(self: Hashing, frontier: int) -> None:
        nonlocal furthest
        furthest = max([furthest, *(end - self.hashed for _, end in self._partial.written.ranges)])
        time.sleep(0.002)
        advance(self, frontier)

    def counted(self: Partial, buffer: memoryview, at: int) -> int:
        nonlocal read
        count = read_into(self, buffer, at)
        read += count
        return count

    monkeypatch.setattr(Hashing, "advance", slow)
    monkeypatch.setattr(Partial, "read_into", counted)
    monkeypatch.setattr("llmkube.models.hashing.STEP", 64 << 10)
    await fetched(sha256=server.sha256)
    assert read == len(server.content)
    assert furthest <= WINDOW + SPAN


async def test_a_span_that_fails_is_asked_for_again_and_the_others_go_on(server: FileServer, fetched: Fetch) -> None:
    server.instead = once(4 * SPAN, lambda: web.Response(status=503), times=3)
    assert (await fetched(sha256=server.sha256)).sha256 == server.sha256
    assert server.sent == len(server.content) + 1, "nothing else is sent twice"


async def test_a_server_that_is_busy_is_given_the_time_and_fewer_connections(
    server: FileServer, fetched: Fetch, slots: list[Slots], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float | None] = []

    def pause(error: SourceError, _: int) -> float:
        waited.append(error.retry_after)
        return 0.001

    monkeypatch.setattr("llmkube.models.transfer.pause", pause)
    server.instead = once(3 * SPAN, lambda: web.Response(status=429, headers={"Retry-After": "7"}))
    await fetched(sha256=server.sha256)
    assert waited == [7.0]
    assert slots[0].limit == FIRST // 2


async def test_a_span_that_never_comes_is_an_error_in_the_end(server: FileServer, fetched: Fetch) -> None:
    server.instead = once(4 * SPAN, lambda: web.Response(status=500), times=1000)
    with pytest.raises(SourceError) as caught:
        await fetched(sha256=server.sha256)
    assert (caught.value.reason, caught.value.retryable) == ("ServerError", True)
    assert sum("500" not in each for each in server.asked) < 120, "a bounded number of times"
    server.instead, server.sent = None, 0
    await fetched(sha256=server.sha256)
    assert server.sent <= len(server.content) - 4 * SPAN + 1, "all that had arrived is kept"


async def test_a_server_that_ignores_ranges_from_some_moment_on_is_read_as_one_stream(
    server: FileServer, fetched: Fetch
) -> None:
    async def instead(request: web.Request) -> None:
        server.ranges = server.ranges and asked(request) < 4 * SPAN

    server.instead = instead
    assert (await fetched(sha256=server.sha256)).sha256 == server.sha256


async def test_a_server_that_sends_other_bytes_than_those_asked_for_is_not_believed(
    server: FileServer, fetched: Fetch
) -> None:
    def other() -> web.Response:
        headers = {"ETag": server.etag, "Content-Range": f"bytes 0-99/{len(server.content)}"}
        return web.Response(status=206, headers=headers, body=server.content[:100])

    server.instead = once(2 * SPAN, other, times=2)
    assert (await fetched(sha256=server.sha256)).sha256 == server.sha256


async def test_more_bytes_than_a_span_has_are_refused(server: FileServer, fetched: Fetch, cache: Path) -> None:
    async def instead(request: web.Request) -> web.StreamResponse | None:
        if asked(request) != 2 * SPAN:
            return None
        headers = {"ETag": server.etag, "Content-Range": f"bytes {2 * SPAN}-{3 * SPAN - 1}/{len(server.content)}"}
        response = web.StreamResponse(status=206, headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(bytes(SPAN + 1))
        return response

    server.instead = instead
    with pytest.raises(SourceError, match=r"found more") as caught:
        await fetched(sha256=server.sha256)
    assert (caught.value.reason, caught.value.retryable) == ("SizeMismatch", False)
    assert partials(cache) == []


async def test_fewer_bytes_than_a_span_has_are_followed_by_the_rest(server: FileServer, fetched: Fetch) -> None:
    async def instead(request: web.Request) -> web.StreamResponse | None:
        if asked(request) != 2 * SPAN:
            return None
        headers = {"ETag": server.etag, "Content-Range": f"bytes {2 * SPAN}-{3 * SPAN - 1}/{len(server.content)}"}
        response = web.StreamResponse(status=206, headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(server.content[2 * SPAN : 2 * SPAN + SPAN // 2])
        return response

    server.instead = instead
    assert (await fetched(sha256=server.sha256)).sha256 == server.sha256
    assert server.sent <= len(server.content) + 1 - SPAN // 2


async def test_an_entity_tag_that_changes_under_way_means_the_new_file_as_a_whole(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    changed = gguf(5 * MEBIBYTE)

    async def instead(request: web.Request) -> None:
        if asked(request) >= 8 * SPAN and server.etag == '"one"':
            server.content, server.etag = changed, '"two"'

    server.instead = instead
    done = await fetched()
    assert (done.sha256, done.etag) == (server.sha256, '"two"')
    assert partials(cache) == [], "nothing of the old file is left"


async def test_a_portals_page_in_the_middle_costs_nothing_of_what_had_arrived(
    server: FileServer, fetched: Fetch
) -> None:
    noted = 2 * MEBIBYTE

    async def instead(request: web.Request) -> web.StreamResponse | None:
        return web.Response(text="<html>log in", content_type="text/html") if server.sent > noted else None

    server.instead = instead
    with pytest.raises(SourceError) as caught:
        await fetched()
    assert caught.value.reason == "NotGGUF"
    assert "HTML page" in caught.value.message
    server.instead, server.sent = None, 0
    assert (await fetched()).sha256 == server.sha256
    assert server.sent <= len(server.content) - noted + 2 * SPAN


async def test_a_file_that_became_shorter_is_asked_for_anew(server: FileServer, fetched: Fetch, cache: Path) -> None:
    def shorter() -> web.Response:
        server.content, server.etag = gguf(MEBIBYTE), '"two"'
        return web.Response(status=416, headers={"Content-Range": f"bytes */{MEBIBYTE}"})

    server.instead = once(12 * SPAN, shorter)
    assert (await fetched()).sha256 == server.sha256
    assert partials(cache) == []


async def test_compressed_bytes_are_refused_by_name(server: FileServer, fetched: Fetch) -> None:
    headers = {"ETag": server.etag, "Content-Encoding": "gzip"}
    server.instead = once(0, lambda: web.Response(body=b"\x1f\x8b" + bytes(100), headers=headers), times=9)
    with pytest.raises(SourceError, match="Content-Encoding gzip") as caught:
        await fetched(sha256=server.sha256)
    assert not caught.value.retryable


async def test_a_connection_that_drips_is_replaced(
    server: FileServer, fetched: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmkube.models.slots.SLOW_SECONDS", 0.2)
    monkeypatch.setattr("llmkube.models.slots.SLOWEST", 1e5)
    drips = 0

    async def instead(request: web.Request) -> web.StreamResponse | None:
        nonlocal drips
        if asked(request) != 3 * SPAN or drips:
            return None
        drips += 1
        headers = {"ETag": server.etag, "Content-Range": f"bytes {3 * SPAN}-{4 * SPAN - 1}/{len(server.content)}"}
        response = web.StreamResponse(status=206, headers=headers | {"Content-Length": str(SPAN)})
        await response.prepare(request)
        for at in range(3 * SPAN, 4 * SPAN, 100):
            await response.write(server.content[at : at + 100])
            await asyncio.sleep(0.05)
        return response

    server.instead = instead
    assert (await fetched(sha256=server.sha256)).sha256 == server.sha256
    assert drips == 1


async def test_what_an_earlier_run_left_spoiled_is_fetched_once_more_as_a_whole(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    server.instead = once(12 * SPAN, lambda: web.Response(status=403), times=99)
    with pytest.raises(SourceError):
        await fetched(sha256=server.sha256)
    data = next(each for each in (cache / "v1" / "partial").iterdir() if not each.suffix)
    with data.open("r+b") as file:
        file.seek(1000)
        file.write(b"spoiled")
    server.instead, server.sent = None, 0
    assert (await fetched(sha256=server.sha256)).sha256 == server.sha256
    assert server.sent > len(server.content)


async def test_the_parts_of_a_split_model_come_at_the_same_time_within_the_same_connections(
    server: FileServer, fetched: Fetch, slots: list[Slots], seen: list[object]
) -> None:
    server.content, server.pause = gguf(SPAN), 0.005
    source = server.url.replace("model.gguf", "big-00001-of-00003.gguf")
    done = await fetched(source=source)
    assert (done.files, done.bytes) == (3, 3 * SPAN)
    paths = [each["path"] for each in server.asked]
    assert paths.index("/big-00003-of-00003.gguf") < len(paths) - 1 - paths[::-1].index("/big-00001-of-00003.gguf")
    assert server.busiest <= FIRST + 1, "asking for a size is not a download"
    last = seen[-1]
    assert (last.bytes, last.total, last.files) == (3 * SPAN, 3 * SPAN, 3)  # type: ignore[attr-defined]


async def test_a_part_that_is_missing_fails_the_whole_by_its_name(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    async def instead(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=404) if "00002-of" in request.path else None

    server.instead = instead
    with pytest.raises(SourceError, match=r"big-00002-of-00003\.gguf.*HTTP 404") as caught:
        await fetched(source=server.url.replace("model.gguf", "big-00001-of-00003.gguf"))
    assert caught.value.reason == "NotFound"
    assert not list((cache / "v1" / "models").rglob("*.gguf"))


async def test_where_each_connection_brings_little_there_are_more_of_them(
    server: FileServer, fetched: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmkube.models.slots.INTERVAL", 0.1)
    server.content, server.piece, server.pause = gguf(12 * MEBIBYTE), 32 << 10, 0.01
    await fetched(sha256=server.sha256)
    assert server.busiest > FIRST


async def test_a_server_that_never_sends_the_rest_is_an_error_and_no_shorter_file(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    async def instead(request: web.Request) -> web.StreamResponse | None:
        if asked(request) < 4 * SPAN:
            return None
        headers = {"ETag": server.etag, "Content-Range": f"bytes 0-99/{len(server.content)}"}
        return web.Response(status=206, headers=headers, body=server.content[:100])

    server.instead = instead
    with pytest.raises(SourceError) as caught:
        await fetched()
    assert (caught.value.reason, caught.value.retryable) == ("RangeRefused", True)
    assert list((cache / "v1" / "blobs").iterdir()) == []


@pytest.mark.parametrize("connections", [1, 2, 8])
@pytest.mark.parametrize("failing", [False, True], ids=["all goes well", "a span has to wait"])
async def test_nobody_waits_for_the_clock_to_note_what_is_on_disk(
    server: FileServer, fetched: Fetch, monkeypatch: pytest.MonkeyPatch, connections: int, failing: bool
) -> None:
    """Whoever is as far ahead as may be has it noted at once, and keeps no connection from the one that is behind."""
    monkeypatch.setattr("llmkube.models.transfer.NOTE_SECONDS", 3600.0)
    monkeypatch.setattr("llmkube.models.transfer.WINDOW", 1 << 20)
    monkeypatch.setattr("llmkube.models.transfer.CHECKPOINT", 1 << 40)
    monkeypatch.setattr(Slots, "limit", connections)
    monkeypatch.setattr("llmkube.models.transfer.pause", lambda *_: 0.3)
    if failing:
        server.instead = once(2 * SPAN, lambda: web.Response(status=503), times=2)
    async with asyncio.timeout(15):
        assert (await fetched(sha256=server.sha256)).sha256 == server.sha256


async def test_a_stream_that_is_ahead_of_the_disk_waits_for_it_and_can_be_stopped(
    server: FileServer, fetched: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmkube.models.transfer.NOTE_SECONDS", 3600.0)
    monkeypatch.setattr("llmkube.models.transfer.WINDOW", 1 << 20)
    monkeypatch.setattr("llmkube.models.transfer.CHECKPOINT", 1 << 40)
    server.ranges = False
    sync = Partial.sync
    stuck = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(self: Partial) -> None:
        loop.call_soon_threadsafe(stuck.set)
        time.sleep(0.2)
        sync(self)

    monkeypatch.setattr(Partial, "sync", slow)
    task = asyncio.ensure_future(fetched(sha256=server.sha256))
    async with asyncio.timeout(15):
        await stuck.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await fetched(sha256=server.sha256)).sha256 == server.sha256


async def test_the_size_of_all_parts_is_known_before_the_first_byte_of_one(
    server: FileServer, fetched: Fetch, seen: list[Progress]
) -> None:
    server.content = gguf(SPAN)
    done = await fetched(source=server.url.replace("model.gguf", "big-00001-of-00009.gguf"))
    assert done.files == 9
    assert {each.total for each in seen} == {9 * SPAN}
    assert [each.file for each in seen] == sorted(each.file for each in seen)


async def test_room_is_asked_for_all_parts_together_before_a_byte_of_one(
    server: FileServer, fetched: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = os.statvfs("/")
    small = os.statvfs_result((*free[:1], 1, free[2], 64 * MEBIBYTE + 3 * SPAN, 64 * MEBIBYTE + 3 * SPAN, *free[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: small)
    server.content = gguf(SPAN)
    with pytest.raises(SourceError, match=r"expected 65\.0 MiB of free space, found 64\.8 MiB") as caught:
        await fetched(source=server.url.replace("model.gguf", "big-00001-of-00004.gguf"))
    assert caught.value.reason == "NoSpace"
    assert server.sent <= 4
