"""Clients that stream answers one after another, and what became of each: whole, truncated or lost."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

CONCURRENCY = 8
TOKENS = 24
QUESTIONS = ("What is a harbour?", "Name three rivers.", "Why is the sea salt?", "Tell me of bees.")
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=120)


@dataclass
class Load:
    """Eight clients against one base URL until `enough` answers have ended.

    Each answer has a connection of its own: llama-server (b11669) promises to keep one and closes it after a stream.
    """

    base: str
    key: str = ""
    ended: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    in_flight: int = 0
    enough: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def total(self) -> int:
        return self.ended.total()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(self._client())

    async def _client(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        async with aiohttp.ClientSession(self.base, headers=headers, connector=connector, timeout=_TIMEOUT) as session:
            while not (self.stopping.is_set() and self.total + self.in_flight >= self.enough):
                self.in_flight += 1
                try:
                    self.ended[await self._ask(session)] += 1
                finally:
                    self.in_flight -= 1

    async def _ask(self, session: aiohttp.ClientSession) -> str:
        question = QUESTIONS[self.total % len(QUESTIONS)]
        body = {"messages": [{"role": "user", "content": question}], "stream": True, "max_tokens": TOKENS}
        events: list[str] = []
        try:
            async with session.post("/v1/chat/completions", json=body) as response:
                if response.status != 200:
                    self.errors.append(f"{response.status} {await response.text()}")
                    return "lost"
                async for line in response.content:
                    events += [line.decode().removeprefix("data: ").strip()] if line.startswith(b"data: ") else []
        except (aiohttp.ClientError, TimeoutError) as error:
            self.errors.append(f"{type(error).__name__}: {error} after {len(events)} events")
            return "truncated" if events else "lost"
        return "whole" if is_whole(events) else "truncated"


def is_whole(events: list[str]) -> bool:
    """Whether the engine said why it ended, and that it has."""
    if events[-1:] != ["[DONE]"]:
        return False
    choices = [choice for each in events[:-1] for choice in json.loads(each).get("choices", ())]
    return bool(choices) and choices[-1].get("finish_reason") in {"stop", "length"}
