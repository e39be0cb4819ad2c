"""Bytes of a file by ranges: exactly those that were asked for, of the very file, or an error that says which."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.wire.models.conftest import FileServer

from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy
from llmkube.models.remote import Remote
from llmkube.models.session import open_session
from llmkube.models.source import parse

LOOPBACK = SourcePolicy(("127.0.0.0/8",))


@pytest.fixture
async def remote() -> AsyncIterator[Remote]:
    async with open_session(LOOPBACK) as session:
        yield Remote(session, LOOPBACK, Credentials())


async def span(remote: Remote, server: FileServer, start: int, end: int, etag: str = "") -> bytes:
    async with remote.span(parse(server.url), start, end, etag=etag) as body:
        return b"".join([chunk async for chunk in body.chunks(1 << 16)])


async def test_a_span_is_exactly_the_bytes_that_were_asked_for(remote: Remote, server: FileServer) -> None:
    assert await span(remote, server, 5, 100_000, server.etag) == server.content[5:100_000]
    assert await span(remote, server, len(server.content) - 1, len(server.content)) == server.content[-1:]


async def test_a_span_of_another_file_by_now_is_refused(remote: Remote, server: FileServer) -> None:
    with pytest.raises(SourceError) as caught:
        await span(remote, server, 5, 100, '"older"')

    assert (caught.value.reason, caught.value.retryable) == ("SourceChanged", True)


async def test_a_server_that_ignores_ranges_has_no_span_but_the_whole(remote: Remote, server: FileServer) -> None:
    server.ranges = False

    assert await span(remote, server, 0, len(server.content)) == server.content
    with pytest.raises(SourceError) as caught:
        await span(remote, server, 0, 100)
    assert (caught.value.reason, caught.value.retryable) == ("RangeRefused", True)


async def test_a_connection_that_breaks_in_a_span_gives_what_arrived_and_then_an_error(
    remote: Remote, server: FileServer
) -> None:
    server.cut_after = [300_000]
    arrived = bytearray()

    async def receive() -> None:
        async with remote.span(parse(server.url), 0, 1_000_000) as body:
            async for chunk in body.chunks(1 << 16):
                arrived.extend(chunk)

    with pytest.raises(SourceError) as caught:
        await receive()

    assert (caught.value.reason, caught.value.retryable) == ("HostUnreachable", True)
    assert 0 < len(arrived) < 1_000_000
    assert server.content.startswith(arrived)


async def test_what_a_file_is_and_how_it_begins_is_one_request(remote: Remote, server: FileServer) -> None:
    file, start = await remote.first(parse(server.url), 1000)

    assert (file.size, file.etag, file.ranges) == (len(server.content), server.etag, True)
    assert start == server.content[:1000]
    assert len(server.asked) == 1


async def test_a_file_shorter_than_what_is_asked_of_it_is_given_whole(remote: Remote, server: FileServer) -> None:
    server.content = server.content[:100]

    assert (await remote.first(parse(server.url), 1000))[1] == server.content


async def test_a_weak_or_endless_entity_tag_is_none(remote: Remote, server: FileServer) -> None:
    for server.etag in ('W/"one"', '"' + "x" * 300 + '"', "one", ""):
        assert (await remote.probe(parse(server.url))).etag == ""
