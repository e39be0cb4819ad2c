"""A write leaves only while this process is sure to lead, and takes no longer than that."""

from __future__ import annotations

from typing import Any

import pytest

from llmkube.kube.client import Client
from llmkube.kube.errors import FencedError, TransportError
from llmkube.kube.kinds import POD, Key

WHERE = Key("default", "a")


async def test_without_the_lease_nothing_is_written_and_everything_is_read(
    client: Client, script: Any, say: Any
) -> None:
    script.answers = [say.whole(say.pod("a", 1))]
    client.transport.fence = lambda: 0.0
    assert (await client.get(POD, WHERE)).metadata.name == "a"
    for write in (client.create(POD, say.pod("a", 1)), client.delete(POD, WHERE), client.replace(POD, say.pod("a", 1))):
        with pytest.raises(FencedError, match="was not sent: another process may lead by now"):
            await write
    assert len(script.asked) == 1


async def test_a_write_is_given_up_when_the_lease_would_have_run_out(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.lines(hold=True)]
    left = iter((0.05, 0.0))
    client.transport.fence = lambda: next(left)
    with pytest.raises(FencedError):
        await client.replace(POD, say.pod("a", 1))
    assert len(script.asked) == 1


async def test_a_lease_that_ends_while_a_write_waits_to_be_tried_again_holds_it_back(
    client: Client, script: Any, say: Any
) -> None:
    busy = {"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": "busy"}
    script.answers = [say.whole(busy, 429, **{"Retry-After": "0"})]
    left = iter((10.0, 0.0))
    client.transport.fence = lambda: next(left)
    with pytest.raises(FencedError):
        await client.replace(POD, say.pod("a", 1))
    assert len(script.asked) == 1


async def test_who_needs_no_lease_has_no_fence(client: Client, script: Any, say: Any) -> None:
    script.answers = [say.whole(say.pod("a", 1))]
    assert (await client.replace(POD, say.pod("a", 1))).metadata.name == "a"
    assert not issubclass(FencedError, TransportError)  # it is never sent again
