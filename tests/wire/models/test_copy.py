"""Files of this machine into the cache."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from tests.wire.models.conftest import MEBIBYTE, Fetch, FileServer, gguf

from llmkube.models.cache import Cache, key_of
from llmkube.models.copy import CHUNK
from llmkube.models.errors import SourceError
from llmkube.models.partial import Partial
from llmkube.models.policy import SourcePolicy
from llmkube.models.progress import Progress


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "tiny.gguf"
    path.parent.mkdir()
    path.write_bytes(gguf())
    return path


@pytest.fixture
def copied(fetched: Fetch, file: Path) -> Fetch:
    async def run(**fields: object) -> object:
        return await fetched(source=f"file://{file}", policy=SourcePolicy(roots=(file.parent,)), **fields)

    return run  # type: ignore[return-value]


async def test_a_file_is_verified_and_linked(copied: Fetch, file: Path, cache: Path, seen: list[Progress]) -> None:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    done = await copied(sha256=sha256)
    assert (done.sha256, (cache / done.path).read_bytes()) == (sha256, file.read_bytes())
    assert seen[-1].total == file.stat().st_size
    assert list((cache / "v1" / "partial").iterdir()) == []


async def test_a_file_that_did_not_change_is_not_read_again(
    copied: Fetch, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await copied()
    written: list[int] = []
    write = Partial.write
    monkeypatch.setattr(Partial, "write", lambda self, at, chunks: (written.append(at), write(self, at, chunks)))
    assert (await copied(name="other")).sha256 == first.sha256
    assert written == []
    file.write_bytes(gguf())
    assert (await copied()).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert written != []


async def test_another_digest_is_refused_and_nothing_is_kept(copied: Fetch, cache: Path) -> None:
    with pytest.raises(SourceError, match="0" * 64) as caught:
        await copied(sha256="0" * 64)
    assert caught.value.reason == "DigestMismatch"
    assert not list((cache / "v1" / "blobs").iterdir())
    assert not list((cache / "v1" / "partial").iterdir())


async def test_a_copy_that_is_stopped_ends_and_leaves_nothing(
    copied: Fetch, file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(file, 20 * CHUNK)
    begun, loop, write = asyncio.Event(), asyncio.get_running_loop(), Partial.write

    def slow(self: Partial, at: int, chunks: list[bytes]) -> None:
        loop.call_soon_threadsafe(begun.set)
        write(self, at, chunks)

    monkeypatch.setattr(Partial, "write", slow)
    task = asyncio.ensure_future(copied())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list((cache / "v1" / "partial").iterdir())


async def test_what_a_killed_copy_left_is_no_reason_to_say_that_space_is_missing(
    copied: Fetch, file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Cache(cache).layout.partial(key_of(file))
    place.parent.mkdir(parents=True)
    place.write_bytes(bytes(MEBIBYTE))
    asked: list[int] = []
    monkeypatch.setattr(Cache, "check_space", lambda self, needed: asked.append(place.stat().st_size))
    await copied()
    assert asked == [0]


async def test_a_file_that_is_gone_and_a_directory_are_named(copied: Fetch, file: Path) -> None:
    file.unlink()
    with pytest.raises(SourceError, match="found nothing at") as caught:
        await copied()
    assert caught.value.reason == "NotFound"
    file.mkdir()
    with pytest.raises(SourceError, match="found a directory at") as caught:
        await copied()
    assert caught.value.reason == "NotGGUF"


async def test_what_was_prefetched_is_not_fetched_again_by_a_model(server: FileServer, fetched: Fetch) -> None:
    pinned = await fetched(pinned=True, namespace="", name="ahead")
    assert pinned.path == f"v1/blobs/sha256-{server.sha256}"
    server.sent = 0
    assert (await fetched()).sha256 == server.sha256
    assert server.sent <= 1
