"""kill -9 of a fetch at any time, then the same command again: nothing lost, nothing fetched twice."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from tests.wire.models.conftest import gguf

from llmkube.models.partial import CHECKPOINT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wire.models.conftest import FileServer

MEBIBYTE = 1 << 20
PATIENCE = 30.0


async def start(server: FileServer, cache: Path) -> asyncio.subprocess.Process:
    """Start `llmkube fetch` as a Job's container does."""
    what = [server.url, "--cache", str(cache), "--namespace", "team", "--name", "tiny", "--sha256", server.sha256]
    how = ["--allow", "127.0.0.0/8", "--progress", "json"]
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "llmkube", "fetch", *what, *how]
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)


def files(cache: Path) -> list[Path]:
    return [each for each in cache.rglob("*") if each.is_file() and not each.is_symlink()]


async def test_a_killed_fetch_goes_on_from_what_it_had_and_leaves_one_verified_file(
    server: FileServer, tmp_path: Path
) -> None:
    server.content = gguf(CHECKPOINT + 8 * MEBIBYTE)
    server.hold_at = CHECKPOINT + 4 * MEBIBYTE
    first = await start(server, tmp_path)
    async with asyncio.timeout(PATIENCE):
        await server.held.wait()
        while not list(tmp_path.rglob("*.synced")):
            await asyncio.sleep(0.01)
    first.kill()
    await first.communicate()
    assert not any(each.read_bytes() == server.content for each in files(tmp_path))
    server.hold_at, server.sent, server.asked = None, 0, []
    second = await start(server, tmp_path)
    async with asyncio.timeout(PATIENCE):
        out, err = await second.communicate()
    assert second.returncode == 0, err.decode()
    done = json.loads(out.splitlines()[-1])
    assert (done["event"], done["sha256"]) == ("done", server.sha256)
    assert any("Range" in each for each in server.asked)
    assert server.sent <= len(server.content) - CHECKPOINT + 1, "the first byte asks for the size"
    assert (tmp_path / done["path"]).read_bytes() == server.content
    assert sum(each.stat().st_size for each in files(tmp_path)) < len(server.content) + 4096, "no partial file is left"
