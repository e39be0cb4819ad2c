"""One file over several connections, of which some go wrong: what becomes of each, and of the file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from tests.wire.models.conftest import MEBIBYTE, Fetch, FileServer, gguf
from tests.wire.models.ranges import SPAN, Instead, asked, once, partials

from llmkube.models.errors import SourceError
from llmkube.models.slots import FIRST, Slots

pytestmark = pytest.mark.usefixtures("small", "large")


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


def third_span(server: FileServer, content: bytes) -> Instead:
    """Answer with this content instead of that span's, of a length that is not told."""

    async def instead(request: web.Request) -> web.StreamResponse | None:
        if asked(request) != 2 * SPAN:
            return None
        headers = {"ETag": server.etag, "Content-Range": f"bytes {2 * SPAN}-{3 * SPAN - 1}/{len(server.content)}"}
        response = web.StreamResponse(status=206, headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(content)
        return response

    return instead


async def test_more_bytes_than_a_span_has_are_refused(server: FileServer, fetched: Fetch, cache: Path) -> None:
    server.instead = third_span(server, bytes(SPAN + 1))
    with pytest.raises(SourceError, match=r"found more") as caught:
        await fetched(sha256=server.sha256)
    assert (caught.value.reason, caught.value.retryable) == ("SizeMismatch", False)
    assert partials(cache) == []


async def test_fewer_bytes_than_a_span_has_are_followed_by_the_rest(server: FileServer, fetched: Fetch) -> None:
    server.instead = third_span(server, server.content[2 * SPAN : 2 * SPAN + SPAN // 2])
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
