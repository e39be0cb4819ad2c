"""Real disks that refuse: full ones and read-only ones, on a file system of their own; and caches that are none."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.wire.models.conftest import MEBIBYTE, Fetch, FileServer, gguf

from llmkube.models.cache import Cache, key_of
from llmkube.models.errors import SourceError

PERMANENT, RETRYABLE = 65, 75
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
MOUNTED = (
    "mount -t tmpfs -o size={size}m tmpfs {cache} && {prepare} && "
    "{{ {command}; code=$?; find {cache} -type f >&2; exit $code; }}"
)


def can_mount() -> bool:
    """Whether this machine lets us have a mount namespace of our own."""
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run(
            [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
        ).returncode
        == 0
    )


needs_mounts = pytest.mark.skipif(
    not can_mount(), reason="NOT TESTED: full and read-only disks (no user namespaces with mounts on this machine)"
)


async def run(
    server: FileServer, cache: Path, *, size: int, prepare: str = "true", seam: str = "pass"
) -> tuple[int, dict[str, Any], list[str]]:
    """`llmkube fetch` into a file system of `size` MiB: exit code, last event, and the files that it left."""
    cache.mkdir()
    start = f"{seam}; from llmkube.cli.main import main; main()"
    command = f"{sys.executable} -c '{start}' fetch {server.url} --cache {cache} --name tiny --allow 127.0.0.0/8"
    script = MOUNTED.format(size=size, cache=cache, prepare=prepare, command=command)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*NAMESPACE, "sh", "-c", script, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(50):
        out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode or 0, json.loads(out.splitlines()[-1]), err.decode().splitlines()


@needs_mounts
async def test_a_file_that_does_not_fit_is_refused_with_numbers_before_a_byte_of_it(
    server: FileServer, tmp_path: Path
) -> None:
    server.content = gguf(6 * MEBIBYTE)
    code, event, _ = await run(server, tmp_path / "cache", size=66)
    assert (code, event["reason"]) == (RETRYABLE, "NoSpace")
    assert "expected 70.0 MiB of free space, found 66.0 MiB" in event["message"]
    assert server.sent <= 1


@needs_mounts
async def test_what_others_took_meanwhile_is_noticed_when_space_is_reserved(server: FileServer, tmp_path: Path) -> None:
    server.content = gguf(6 * MEBIBYTE)
    unaware = "from llmkube.models.cache import Cache; Cache.check_space = lambda self, needed: None"
    code, event, left = await run(server, tmp_path / "cache", size=4, seam=unaware)
    assert (code, event["reason"]) == (RETRYABLE, "NoSpace")
    assert "No space left on device" in event["message"]
    assert server.sent <= 1, "it is an error of the beginning"
    assert not any("blobs" in each for each in left)


@needs_mounts
async def test_a_disk_that_fills_up_under_way_is_an_error_and_nothing_has_a_final_name(
    server: FileServer, tmp_path: Path
) -> None:
    server.content = gguf(6 * MEBIBYTE)
    server.ranges = server.length = False
    code, event, left = await run(server, tmp_path / "cache", size=4)
    assert (code, event["reason"]) == (RETRYABLE, "NoSpace")
    assert not any("blobs" in each for each in left)


@needs_mounts
async def test_a_read_only_cache_is_told_and_not_tried_again(server: FileServer, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    code, event, left = await run(server, cache, size=99, prepare=f"mount -o remount,ro {cache}")
    assert (code, event["reason"], event["retryable"]) == (PERMANENT, "CacheNotWritable", False)
    assert "Read-only file system" in event["message"]
    assert str(cache) in event["message"]
    assert left == []


async def test_a_file_that_may_not_grow_so_large_is_told(server: FileServer, tmp_path: Path) -> None:
    server.content = gguf(2 * MEBIBYTE)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))"
    start = f"{limit}; from llmkube.cli.main import main; main()"
    arguments = ["fetch", server.url, "--cache", str(tmp_path), "--name", "tiny", "--allow", "127.0.0.0/8"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", start, *arguments, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    event = json.loads(out.splitlines()[-1])
    assert (process.returncode, event["reason"]) == (PERMANENT, "CacheNotWritable"), err.decode()
    assert "File too large" in event["message"]


async def test_a_directory_where_the_blob_should_be_is_named(server: FileServer, fetched: Fetch, cache: Path) -> None:
    (cache / "v1" / "blobs" / f"sha256-{server.sha256}").mkdir(parents=True)
    with pytest.raises(
        SourceError, match=rf"expected a file at v1/blobs/sha256-{server.sha256}, found a directory"
    ) as caught:
        await fetched(sha256=server.sha256)
    assert (caught.value.reason, caught.value.retryable) == ("CacheDamaged", False)


async def test_a_directory_where_the_partial_file_should_be_is_an_error(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    Cache(cache).layout.partial(key_of(server.sha256, len(server.content))).mkdir(parents=True)
    with pytest.raises(SourceError) as caught:
        await fetched(sha256=server.sha256)
    assert caught.value.reason == "CacheNotWritable"


async def test_a_cache_that_is_a_file_is_named(fetched: Fetch, cache: Path) -> None:
    cache.write_text("not a directory")
    with pytest.raises(SourceError, match=str(cache)) as caught:
        await fetched()
    assert caught.value.reason == "CacheNotWritable"


async def fetching(server: FileServer, cache: Path, name: str) -> asyncio.subprocess.Process:
    what = [server.url, "--cache", str(cache), "--name", name, "--allow", "127.0.0.0/8", "--sha256", server.sha256]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "llmkube", "fetch", *what, stdout=pipe, stderr=pipe
    )


async def test_several_processes_fetch_once_and_a_waiter_goes_on_when_the_first_is_killed(
    server: FileServer, tmp_path: Path
) -> None:
    server.content = gguf(8 * MEBIBYTE)
    server.hold_after = 4 * MEBIBYTE
    processes = [await fetching(server, tmp_path, "a")]
    async with asyncio.timeout(50):
        await server.held.wait()
        processes += [await fetching(server, tmp_path, name) for name in "bc"]
        lines = [await process.stdout.readline() for process in processes[1:] if process.stdout]
        assert all(json.loads(line)["waiting"] for line in lines)
        server.hold_after = None
        processes[0].send_signal(signal.SIGKILL)
        ended = [json.loads((await process.communicate())[0].splitlines()[-1]) for process in processes[1:]]
        await processes[0].communicate()
    assert [each["event"] for each in ended] == ["done", "done"]
    assert server.sent <= 2 * len(server.content), "the second of them fetched nothing"
    assert [each.name for each in (tmp_path / "v1" / "blobs").iterdir()] == [f"sha256-{server.sha256}"]
    assert sorted(each.name for each in (tmp_path / "v1" / "models" / "default").iterdir()) == ["b", "c"]


async def test_clear_at_any_moment_of_a_fetch_takes_nothing_that_it_links(server: FileServer, tmp_path: Path) -> None:
    """Models come and go over and over, while a second process clears all that is unused, as fast as it can."""
    loop = (
        "import sys, time\nfrom pathlib import Path\nfrom llmkube.models.cache import Cache\n"
        "from llmkube.models.collect import Wish, clearing\nfrom llmkube.models.inventory import inventory\n"
        "from llmkube.models.removal import remove\ncache = Cache(Path(sys.argv[1]))\nprint('ready', flush=True)\n"
        "while True:\n"
        "    wish = Wish(all_unused=True, partials=True)\n"
        "    gone = remove(cache, clearing(inventory(cache), wish, now=time.time() + 9))\n"
        "    print(len(gone.blobs), len(gone.partials), flush=True)\n"
    )
    from llmkube.models.fetch import fetch
    from llmkube.models.policy import SourcePolicy
    from llmkube.models.request import FetchRequest

    server.content = gguf(300_000)
    pipe = asyncio.subprocess.PIPE
    clearing = await asyncio.create_subprocess_exec(sys.executable, "-c", loop, str(tmp_path), stdout=pipe)
    assert clearing.stdout is not None
    await clearing.stdout.readline()
    drained = asyncio.ensure_future(clearing.stdout.read())
    try:
        for number in range(60):
            request = FetchRequest(server.url, tmp_path, "team", f"m{number}", policy=SourcePolicy(("127.0.0.0/8",)))
            done = await fetch(request, lambda _: None)
            assert (tmp_path / done.path).read_bytes() == server.content
            shutil.rmtree(tmp_path / "v1" / "models" / "team" / f"m{number}")
            if number % 3 == 0:
                await asyncio.sleep(0.02)  # long enough to be cleared
    finally:
        clearing.kill()
        told = (await drained).decode().split()
        await clearing.wait()
    assert sum(map(int, told)) > 0, "something was cleared in between"
