"""Streams chat completions and counts what did not arrive whole; nothing is sent twice. Runs in a pod of the cluster.

usage: python3 - URL REQUESTS CONCURRENCY < e2e/load.py           prints one line of JSON, at the end
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

import aiohttp

UNRESOLVED = "the name was not resolved"
PROMPT = {"messages": [{"role": "user", "content": "Count."}], "max_tokens": 24, "stream": True, "temperature": 0}


async def stream(session: aiohttp.ClientSession, url: str) -> str:
    """Ask once; return `whole`, or what was wrong."""
    finished = done = False
    try:
        async with session.post(f"{url}/v1/chat/completions", json=PROMPT) as answer:
            if answer.status != 200:
                return f"HTTP {answer.status}: {(await answer.text())[:120]}"
            async for line in answer.content:
                text = line.decode().removeprefix("data: ").strip()
                done = done or text == "[DONE]"
                if text.startswith("{"):
                    finished = finished or json.loads(text)["choices"][0].get("finish_reason") is not None
    except aiohttp.ClientConnectorDNSError:
        return UNRESOLVED
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"[:160]
    return "whole" if finished and done else "truncated"


async def resolved(session: aiohttp.ClientSession, url: str) -> str:
    """Ask until the name is resolved, at most ten times: nothing was sent before; the cluster's DNS is not tested."""
    for _ in range(10):
        if (outcome := await stream(session, url)) != UNRESOLVED:
            return outcome
        await asyncio.sleep(1)
    return UNRESOLVED


async def main(url: str, requests: int, concurrency: int) -> None:
    outcomes: Counter[str] = Counter()
    left = iter(range(requests))

    async def work(session: aiohttp.ClientSession) -> None:
        for _ in left:
            outcomes[await resolved(session, url)] += 1

    timeout = aiohttp.ClientTimeout(total=120)
    # A connection for each request, as most clients have it: every one of them meets the Service's rules anew.
    connector = aiohttp.TCPConnector(force_close=True, limit=concurrency)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        await asyncio.gather(*(work(session) for _ in range(concurrency)))
    print(json.dumps(outcomes))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
