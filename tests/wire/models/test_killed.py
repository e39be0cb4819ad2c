"""kill -9 of the real command at any time, then the same command again: nothing unverified under a final name, nothing
lost that was noted, nothing fetched twice but what was not.

LLMKUBE_TEST_KILLS=300 makes more of them (hack/kill does).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.wire.models.conftest import FileServer, gguf

MEBIBYTE = 1 << 20
PATIENCE = 60.0
KILLS = int(os.environ.get("LLMKUBE_TEST_KILLS", "30"))
SEED = int(os.environ.get("LLMKUBE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
SPAN, CHECKPOINT, WINDOW = 256 << 10, 1 << 20, 3 << 20
SMALL = (
    "import llmkube.models.transfer as transfer, sys\n"
    f"transfer.SPAN, transfer.CHECKPOINT, transfer.WINDOW = {SPAN}, {CHECKPOINT}, {WINDOW}\n"
    "transfer.CHUNK, transfer.NOTE_SECONDS = 65536, 0.05\n"
    "from llmkube.cli.main import main\n"
    "main()\n"
)
"""The real command with small spans, so that a small file has as many of everything as a large one."""
DYING = (
    "import os, signal, threading\n"
    "left, guard = [{calls}], threading.Lock()\n"
    "def dying(call):\n"
    "    def called(*arguments, **options):\n"
    "        with guard:\n"
    "            left[0] -= 1\n"
    "            if left[0] < 0: os.kill(os.getpid(), signal.SIGKILL); signal.pause()\n"
    "        return call(*arguments, **options)\n"
    "    return called\n"
    "for name in 'fsync fdatasync replace rename symlink unlink remove ftruncate chmod utime mkdir'.split():\n"
    "    setattr(os, name, dying(getattr(os, name)))\n"
)
"""Ends the process, as a kill does, instead of its n-th call that changes more on disk than the bytes of a file."""


@dataclass
class Command:
    """`llmkube fetch` as a Job's container runs it."""

    server: FileServer
    cache: Path
    digest: bool = True
    seam: str = ""

    async def start(self) -> asyncio.subprocess.Process:
        what = [self.server.url, "--cache", str(self.cache), "--namespace", "team", "--name", "tiny"]
        how = [
            "--allow",
            "127.0.0.0/8",
            "--progress",
            "json",
            *(["--sha256", self.server.sha256] if self.digest else []),
        ]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", self.seam + SMALL, "fetch", *what, *how, stdout=pipe, stderr=pipe
        )

    async def finish(self) -> dict[str, object]:
        async with asyncio.timeout(PATIENCE):
            process = await self.start()
            out, err = await process.communicate()
        assert process.returncode == 0, out.decode() + err.decode()
        return json.loads(out.splitlines()[-1])


def check(cache: Path) -> None:
    """What holds at every moment: a blob is what its name says, and a link points to a blob."""
    blobs = cache / "v1" / "blobs"
    for blob in blobs.iterdir() if blobs.exists() else ():
        assert blob.name == f"sha256-{hashlib.sha256(blob.read_bytes()).hexdigest()}"
    for link in (cache / "v1" / "models").rglob("*"):
        if link.is_symlink() and not link.name.startswith("."):
            assert link.resolve().parent == blobs.resolve()
            assert link.exists(), f"{link} dangles"


def noted(cache: Path) -> int:
    """Bytes that the next run finds."""
    return sum(
        end - start
        for note in (cache / "v1" / "partial").glob("*.json")
        if not note.name.startswith(".")
        for start, end in json.loads(note.read_bytes())["extents"]
    )


def files(cache: Path) -> list[Path]:
    return [each for each in cache.rglob("*") if each.is_file() and not each.is_symlink()]


@pytest.fixture
async def slow_server(server: FileServer) -> FileServer:
    """Takes about half a second for its file, so that there is time to be killed in."""
    server.content = gguf(8 * MEBIBYTE + 4321)
    server.piece, server.pause = 65536, 0.002
    return server


@pytest.mark.timeout(60 + 4 * KILLS)
@pytest.mark.parametrize("digest", [True, False], ids=["by digest", "by entity tag"])
async def test_killed_at_random_times_it_never_names_unverified_bytes_and_loses_only_what_was_not_noted(
    slow_server: FileServer, tmp_path: Path, digest: bool
) -> None:
    chance = random.Random(SEED)
    print(f"LLMKUBE_TEST_SEED={SEED}")
    size, served, killed, rounds = len(slow_server.content), 0, 0, 0
    while killed < KILLS // 2:
        cache = tmp_path / str(rounds)
        command, rounds = Command(slow_server, cache, digest), rounds + 1
        for _ in range(chance.randint(1, 4)):
            had, slow_server.sent = noted(cache), 0
            process = await command.start()
            kind = chance.choice(["time", "bytes", "end"])
            await doomed(slow_server, process, cache, kind, chance)
            if process.returncode is None:
                process.kill()
                killed += 1
            await process.communicate()
            check(cache)
            assert noted(cache) >= had or complete(cache), "what was noted stays"
        had, was_complete, slow_server.sent = noted(cache), complete(cache), 0
        done = await command.finish()
        check(cache)
        assert (cache / str(done["path"])).read_bytes() == slow_server.content
        assert slow_server.sent <= (0 if was_complete else size - had) + 1, "one byte asks for the size"
        served += slow_server.sent
        assert [each.parent.name for each in files(cache) if each.parent.name in {"partial", "blobs"}] == ["blobs"]
    print(f"{killed} kills in {rounds} fetches")
    assert killed >= KILLS // 2


def complete(cache: Path) -> bool:
    return any((cache / "v1" / "blobs").glob("sha256-*"))


async def doomed(
    server: FileServer, process: asyncio.subprocess.Process, cache: Path, kind: str, chance: random.Random
) -> None:
    """Wait for the moment to kill: some time, some bytes, or about when the file gets its name."""
    size, ended = len(server.content), asyncio.ensure_future(process.wait())
    wanted = {"bytes": chance.randrange(size), "end": int(size * 0.98), "time": 0}[kind]
    try:
        async with asyncio.timeout(PATIENCE):
            while not ended.done() and server.sent < wanted and not complete(cache):
                await asyncio.sleep(0.001)
        await asyncio.wait([ended], timeout=chance.random() * {"bytes": 0.01, "end": 0.08, "time": 1.2}[kind])
    finally:
        ended.cancel()


async def test_a_fetch_that_is_asked_to_stop_says_so_and_keeps_all_that_has_arrived(
    server: FileServer, tmp_path: Path
) -> None:
    server.content = gguf(8 * MEBIBYTE)
    server.hold_after = 2 * MEBIBYTE
    process = await Command(server, tmp_path).start()
    async with asyncio.timeout(PATIENCE):
        await server.held.wait()
        await asyncio.sleep(0.3)
        process.terminate()
        out, _ = await process.communicate()
    last = json.loads(out.splitlines()[-1])
    assert (process.returncode, last["reason"], last["retryable"]) == (75, "Interrupted", True)
    assert noted(tmp_path) > MEBIBYTE
    had, server.hold_after, server.sent = noted(tmp_path), None, 0
    await Command(server, tmp_path).finish()
    assert server.sent <= len(server.content) - had + 1


@pytest.mark.timeout(300)
async def test_killed_at_each_step_that_names_notes_or_links_something_it_goes_on_from_there(
    server: FileServer, tmp_path: Path
) -> None:
    server.content, server.etag = gguf(2 * MEBIBYTE), '"steps"'
    size, calls = len(server.content), 0
    while True:
        cache = tmp_path / str(calls)
        process = await Command(server, cache, digest=False, seam=DYING.format(calls=calls)).start()
        await process.communicate()
        check(cache)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        had, was_complete, server.sent = noted(cache), complete(cache), 0
        done = await Command(server, cache, digest=False).finish()
        check(cache)
        assert (cache / str(done["path"])).read_bytes() == server.content
        assert server.sent <= (0 if was_complete else size - had) + 1
        assert [each.parent.name for each in files(cache) if each.parent.name in {"partial", "blobs"}] == ["blobs"]
        calls += 1 if KILLS > 100 else 3
    print(f"killed at steps up to {calls}")
    assert calls > 15


async def test_a_kill_costs_at_most_the_window(server: FileServer, tmp_path: Path) -> None:
    server.content = gguf(16 * MEBIBYTE)
    server.hold_after = 12 * MEBIBYTE
    command = Command(server, tmp_path)
    process = await command.start()
    async with asyncio.timeout(PATIENCE):
        await server.held.wait()
    process.kill()
    await process.communicate()
    sent, server.hold_after, server.sent = server.sent, None, 0
    await command.finish()
    assert sent + server.sent <= len(server.content) + WINDOW + 2
