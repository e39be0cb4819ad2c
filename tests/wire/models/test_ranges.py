"""One file over several connections: how many, how much in memory, and what each waits for."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from aiohttp import web
from tests.wire.models.conftest import MEBIBYTE, Fetch, FileServer, gguf
from tests.wire.models.ranges import CHUNK, SPAN, WINDOW, once

from llmkube.models.errors import SourceError
from llmkube.models.hashing import Hashing
from llmkube.models.partial import Partial
from llmkube.models.progress import Progress
from llmkube.models.slots import FIRST, Slots
from llmkube.models.transfer import CHUNK as REAL_CHUNK

pytestmark = pytest.mark.usefixtures("small", "large")


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
