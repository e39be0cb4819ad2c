"""Requests to API servers that behave badly."""

from __future__ import annotations

from typing import Any

import pytest

from llmkube.kube.client import Client
from llmkube.kube.config import ClusterConfig, StaticToken
from llmkube.kube.errors import AlreadyExists, NotFound, ServerError, TransportError
from llmkube.kube.kinds import POD, Key
from llmkube.kube.transport import Transport

BUSY = {"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": "busy"}
MISSING = {"kind": "Status", "code": 404, "reason": "NotFound", "message": 'pods "a" not found'}
TWICE = {"kind": "Status", "code": 409, "reason": "AlreadyExists", "message": 'pods "a" already exists'}


async def test_a_busy_server_is_asked_again_after_what_it_says(client: Client, script: Any, say: Any) -> None:
    busy = say.whole(BUSY, 429, **{"Retry-After": "0"})
    script.answers = [busy, busy, say.whole(say.pod("a", 1))]
    found = await client.get(POD, Key("default", "a"))
    assert (found.metadata.name, len(script.asked)) == ("a", 3)


async def test_a_busy_server_is_not_asked_for_ever(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.whole({**BUSY, "code": 503}, 503, **{"Retry-After": "0"})]
    with pytest.raises(ServerError):
        await client.get(POD, Key("default", "a"))
    assert len(script.asked) == 4


async def test_a_status_object_becomes_the_error_of_its_reason(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.whole(MISSING, 404), say.whole(TWICE, 409)]
    with pytest.raises(NotFound, match='pods "a" not found'):
        await client.get(POD, Key("default", "a"))
    with pytest.raises(AlreadyExists):
        await client.create(POD, say.pod("a", 1))


async def test_a_page_instead_of_an_object_is_one_line_that_shows_it(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.html()]
    with pytest.raises(TransportError, match="expected a Pod, found b'<html>"):
        await client.get(POD, Key("default", "a"))


async def test_deleting_what_is_gone_is_no_error(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.whole(MISSING, 404)]
    assert await client.delete(POD, Key("default", "a")) is False


async def test_a_server_that_is_not_there_is_one_line_with_its_address() -> None:
    async with Transport(ClusterConfig("http://127.0.0.1:1", "default", StaticToken())) as transport:
        with pytest.raises(TransportError, match=r"http://127.0.0.1:1 did not answer GET /version: .*"):
            await transport.request("GET", "/version")
