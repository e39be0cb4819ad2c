"""Fetches from a server that does anything, by a seed: what comes out is the right file or an error, never another.

LLMKUBE_TEST_CHAOS=2000 runs more of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from pathlib import Path

import pytest
from aiohttp import web
from tests.wire.models.conftest import Fetch, FileServer, gguf

from llmkube.models.errors import SourceError

ROUNDS = int(os.environ.get("LLMKUBE_TEST_CHAOS", "40"))
SEED = int(os.environ.get("LLMKUBE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)

pytestmark = pytest.mark.usefixtures("small")


class Chaos:
    """Answers each request as chance says; `versions` are the files that were at the source at any time, by ETag."""

    def __init__(self, server: FileServer, chance: random.Random) -> None:
        self.server, self.chance = server, chance
        self.often = chance.choice([0.05, 0.2, 0.6])
        self.versions = {server.etag: server.content}

    async def answer(self, request: web.Request) -> web.StreamResponse | None:
        """None: as it should be."""
        if self.chance.random() > self.often:
            return None
        kinds = [self.busy, self.page, self.whole, self.cut, self.wrong, self.changed, self.other_bytes, self.slow]
        return await self.chance.choice(kinds)(request)

    async def busy(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=self.chance.choice([500, 503, 429, 408]), headers={"Retry-After": "0"})

    async def page(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>log in", content_type="text/html")

    async def whole(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=self.server.content, headers=self._headers())

    async def cut(self, request: web.Request) -> web.StreamResponse | None:
        self.server.cut_after = [self.chance.randrange(200_000)]
        return None

    async def wrong(self, _: web.Request) -> web.StreamResponse:
        size = len(self.server.content)
        headers = self._headers() | {"Content-Range": f"bytes 5-104/{size}"}
        return web.Response(status=206, body=self.server.content[5:105], headers=headers)

    async def changed(self, _: web.Request) -> web.StreamResponse | None:
        if len(self.versions) < 3:
            size = self.chance.choice([len(self.server.content), 300_000, 2_000_000])
            self.server.content, self.server.etag = gguf(size), f'"{len(self.versions)}"'
            self.versions[self.server.etag] = self.server.content
        return None

    async def other_bytes(self, request: web.Request) -> web.StreamResponse | None:
        """The right headers, and bytes that are nobody's: only a digest can tell."""
        if not self.lies or request.headers.get("Range", "bytes=0-0") == "bytes=0-0":
            return None
        first, _, last = request.headers["Range"].removeprefix("bytes=").partition("-")
        start, size = int(first), len(self.server.content)
        end = int(last) + 1 if last else size
        if start >= end:
            return None
        headers = self._headers() | {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
        return web.Response(status=206, body=b"GGUF" + os.urandom(end - start - 4), headers=headers)

    async def slow(self, _: web.Request) -> web.StreamResponse | None:
        await asyncio.sleep(0.01)
        return None

    lies = False

    def _headers(self) -> dict[str, str]:
        return {"ETag": self.server.etag}


@pytest.mark.timeout(60 + 3 * ROUNDS)
@pytest.mark.parametrize("known", [True, False], ids=["the digest is known", "it is not"])
async def test_what_comes_out_is_a_file_that_was_at_the_source_or_an_error(
    server: FileServer, fetched: Fetch, tmp_path: Path, known: bool
) -> None:
    chance, done = random.Random(SEED), 0
    print(f"LLMKUBE_TEST_SEED={SEED}")
    for number in range(ROUNDS // 2):
        server.content, server.etag = gguf(chance.choice([100_000, 1_500_000, 3_000_000])), '"0"'
        chaos, cache, expected = Chaos(server, chance), tmp_path / str(number), server.sha256
        chaos.lies = known
        server.instead = chaos.answer
        for _ in range(6):  # as a Job's pods
            try:
                found = await fetched(cache=cache, **({"sha256": expected} if known else {}))
            except SourceError:
                check(cache)
                continue
            content = (cache / found.path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == found.sha256
            assert found.sha256 == expected if known else content in chaos.versions.values()
            done += 1
            break
        check(cache)
        server.cut_after = []
    print(f"{done} of {ROUNDS // 2} came through")
    assert done


def check(cache: Path) -> None:
    """Nothing under a final name that is not what the name says."""
    for blob in (cache / "v1" / "blobs").glob("*"):
        assert blob.name == f"sha256-{hashlib.sha256(blob.read_bytes()).hexdigest()}"
