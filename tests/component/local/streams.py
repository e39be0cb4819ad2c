"""Clients that ask for answers one after another, and what became of each: whole, truncated or lost."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import aiohttp

CONCURRENCY = 8
TOKENS = 24
QUESTIONS = ("What is a harbour?", "Name three rivers.", "Why is the sea salt?", "Tell me of bees.")
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=120)


@dataclass
class Load:
    """Eight clients against one base URL until `enough` answers have ended.

    By default each answer is a stream that has a connection of its own: llama-server (b11669) promises to keep one and
    closes it after a stream. Clients that are `pooled` share connections that they keep, as HTTP clients and gateways
    do, and their answers are no streams. A request on a kept connection that ended before any byte of an answer came is
    sent again, which is `retried`; on a new one it is lost.
    """

    base: str
    key: str = ""
    tokens: int = TOKENS
    pooled: bool = False
    host: str = ""
    ended: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    connections: Counter[str] = field(default_factory=Counter)
    retried: int = 0
    in_flight: int = 0
    begun: int = 0
    enough: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def total(self) -> int:
        return self.ended.total()

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(force_close=not self.pooled)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        headers |= {"Host": self.host} if self.host else {}
        async with (
            aiohttp.ClientSession(
                self.base, headers=headers, connector=connector, timeout=_TIMEOUT, trace_configs=[self._traced()]
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(CONCURRENCY):
                group.create_task(self._client(session))

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while not (self.stopping.is_set() and self.total + self.in_flight >= self.enough):
            self.in_flight += 1
            try:
                self.ended[await self._ask(session)] += 1
            finally:
                self.in_flight -= 1

    async def _ask(self, session: aiohttp.ClientSession) -> str:
        """Ask until a connection has answered; no more often than there are kept ones."""
        self.begun += 1
        question = QUESTIONS[self.begun % len(QUESTIONS)]
        prompt = [{"role": "user", "content": question}]
        body = {"messages": prompt, "stream": not self.pooled, "max_tokens": self.tokens}
        for _ in range(CONCURRENCY):
            trip = SimpleNamespace(connection="none")
            outcome = await self._try(session, body, trip)
            if outcome != "unanswered" or trip.connection != "reused":
                break
            self.retried += 1
        return "lost" if outcome == "unanswered" else outcome

    async def _try(self, session: aiohttp.ClientSession, body: dict[str, Any], trip: SimpleNamespace) -> str:
        answered, events = False, list[str]()
        try:
            async with session.post("/v1/chat/completions", json=body, trace_request_ctx=trip) as response:
                answered = True
                if response.status != 200:
                    self.errors.append(f"{response.status} {await response.text()}")
                    return "lost"
                if not body["stream"]:
                    return "whole" if has_ended(await response.json()) else "truncated"
                async for line in response.content:
                    events += [line.decode().removeprefix("data: ").strip()] if line.startswith(b"data: ") else []
        except (aiohttp.ClientError, TimeoutError) as error:
            self.errors.append(f"{type(error).__name__}: {error} after {len(events)} events")
            return "truncated" if answered else "unanswered"
        return "whole" if is_whole(events) else "truncated"

    def _traced(self) -> aiohttp.TraceConfig:
        """Count the connections, and tell each request whether its own has been used before."""

        async def note(trip: Any, kind: str) -> None:
            trip.trace_request_ctx.connection = kind
            self.connections[kind] += 1

        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(lambda _, trip, __: note(trip, "new"))
        trace.on_connection_reuseconn.append(lambda _, trip, __: note(trip, "reused"))
        return trace


def is_whole(events: list[str]) -> bool:
    """Whether the engine said why it ended, and that it has."""
    if events[-1:] != ["[DONE]"]:
        return False
    choices = [json.loads(each) for each in events[:-1] if json.loads(each).get("choices")]
    return bool(choices) and has_ended(choices[-1])


def has_ended(answer: dict[str, Any]) -> bool:
    """Whether the engine said why it ended."""
    return answer["choices"][-1].get("finish_reason") in {"stop", "length"}
