"""Servers that answer one request for a range otherwise than the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

CHUNK, SPAN, WINDOW = 64 << 10, 256 << 10, 3 << 20

Instead = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


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
