"""Connections that clients keep, while the preStop hook waits: what a pool of them meets when its pod ends.

llama-server b11669 closes a kept connection after 5 seconds without a request, and after its 100th.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.component.drained import KEY, Engine, engine

__all__ = ["engine"]
pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]
MOST_REQUESTS = 100


@dataclass
class Kept:
    """A connection that is kept, and what came back over it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, tokens: int) -> None:
        body = {"messages": [{"role": "user", "content": "Tell a story."}], "max_tokens": tokens, "ignore_eos": True}
        content = json.dumps(body).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        self.writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    async def receive(self) -> tuple[str, bool]:
        """Return how the answer ended, and whether the connection is kept."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n") if ": " in line)
        answer = json.loads(await self.reader.readexactly(int(fields["Content-Length"])))
        return answer["choices"][0]["finish_reason"], fields.get("Connection") != "close"

    async def ask(self, tokens: int = 1) -> tuple[str, bool]:
        self.send(tokens)
        return await self.receive()


@pytest.fixture
async def kept(engine: Engine) -> AsyncIterator[Kept]:
    found = Kept(*await asyncio.open_connection("127.0.0.1", engine.port))
    yield found
    found.writer.close()


async def test_a_kept_connection_without_a_request_is_closed_by_the_engine_and_only_then_the_hook_ends(
    engine: Engine, kept: Kept
) -> None:
    assert await kept.ask() == ("length", True)
    assert await engine.drain() == 0
    assert kept.reader.at_eof(), "the hook ended while a request could still have come over the connection"
    assert await engine.end() == 0


async def test_a_client_that_goes_on_over_a_kept_connection_is_answered_until_the_engine_closes_it(
    engine: Engine, kept: Kept
) -> None:
    draining = asyncio.create_task(engine.drain())
    answers = [await kept.ask()]
    while answers[-1][1]:
        assert not draining.done(), "the hook ended between two requests of a client"
        answers.append(await kept.ask())
    assert answers == [("length", True)] * (MOST_REQUESTS - 1) + [("length", False)]
    assert await draining == 0
    assert await engine.end() == 0


async def test_a_request_that_comes_over_a_kept_connection_as_the_engine_is_told_to_end_is_never_answered(
    engine: Engine, kept: Kept
) -> None:
    """Why the hook waits for connections without a request, too: should an engine answer it one day, this tells."""
    assert await kept.ask() == ("length", True)
    engine.process.terminate()
    kept.send(1500)
    with pytest.raises((TimeoutError, asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(kept.receive(), 5)
