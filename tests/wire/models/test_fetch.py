"""Fetching from servers as they are: slow, broken, lying, moving."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.wire.models.conftest import gguf

from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy
from llmkube.models.request import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wire.models.conftest import Fetch, FileServer

    from llmkube.models.progress import Progress


def files(cache: Path, folder: str) -> list[str]:
    place = cache / "v1" / folder
    return sorted(one.name for one in place.iterdir()) if place.exists() else []


async def refused(fetched: Fetch, **fields: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await fetched(**fields)
    assert "\n" not in caught.value.message
    return caught.value


async def test_a_file_is_verified_and_appears_under_the_models_name(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    done = await fetched(sha256=server.sha256)
    assert (done.sha256, done.bytes, done.files) == (server.sha256, len(server.content), 1)
    assert done.path == f"v1/models/team/tiny/{server.sha256[:12]}/model.gguf"
    assert (cache / done.path).read_bytes() == server.content
    assert files(cache, "partial") == []


async def test_what_is_there_already_is_not_asked_for_again(server: FileServer, fetched: Fetch) -> None:
    await fetched(sha256=server.sha256)
    server.asked.clear()
    again = await fetched(sha256=server.sha256)
    assert again.sha256 == server.sha256
    assert server.asked == []


async def test_without_a_digest_an_unchanged_entity_tag_saves_the_download(server: FileServer, fetched: Fetch) -> None:
    await fetched()
    server.sent = 0
    await fetched()
    assert server.sent <= 1, "one byte tells the entity tag"


async def test_a_broken_connection_goes_on_where_it_broke(server: FileServer, fetched: Fetch) -> None:
    server.cut_after = [1 << 20, 1 << 20]
    done = await fetched(sha256=server.sha256)
    assert done.sha256 == server.sha256
    assert server.sent < len(server.content) * 1.5, "nothing is sent twice but what was in flight"


async def test_a_fetch_that_was_stopped_goes_on_from_its_partial_file(server: FileServer, fetched: Fetch) -> None:
    stop = asyncio.Event()

    async def hold() -> None:
        stop.set()
        await asyncio.sleep(0.2)

    server.cut_after, server.before_body = [2 << 20, 10], hold
    task = asyncio.ensure_future(fetched(sha256=server.sha256))
    await stop.wait()
    await asyncio.sleep(0.4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.cut_after, server.before_body, server.sent = [], None, 0
    done = await fetched(sha256=server.sha256)
    assert done.sha256 == server.sha256
    assert server.sent < len(server.content)


async def test_a_server_without_ranges_works(server: FileServer, fetched: Fetch) -> None:
    server.ranges = False
    server.cut_after = [1 << 20]
    assert (await fetched(sha256=server.sha256)).sha256 == server.sha256


async def test_a_server_that_says_no_length_works(server: FileServer, fetched: Fetch) -> None:
    server.ranges = server.length = False
    assert (await fetched()).bytes == len(server.content)


async def test_a_file_that_changes_under_way_is_fetched_anew_as_a_whole(server: FileServer, fetched: Fetch) -> None:
    changed = server.content[:8] + b"other" * 100_000

    async def change() -> None:
        server.before_body = None
        server.content, server.etag = changed, '"two"'

    server.cut_after, server.before_body = [65536], change
    done = await fetched()
    assert done.sha256 == server.sha256
    assert done.etag == '"two"'


async def test_a_wrong_digest_is_refused_and_its_bytes_are_removed(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    error = await refused(fetched, sha256="0" * 64)
    assert (error.reason, error.retryable) == ("DigestMismatch", False)
    assert "0" * 64 in error.message
    assert server.sha256 in error.message
    assert files(cache, "blobs") == files(cache, "partial") == []


async def test_an_html_page_is_refused_at_its_first_bytes(server: FileServer, fetched: Fetch, cache: Path) -> None:
    server.content = b"<!DOCTYPE html><html>" + b"x" * (64 << 20)
    error = await refused(fetched)
    assert (error.reason, error.retryable) == ("NotGGUF", False)
    assert "HTML page" in error.message
    assert server.sent < 16 << 20, "what was in the sockets of both sides"
    assert files(cache, "partial") == []


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (401, "Unauthorized", False),
        (403, "Forbidden", False),
        (404, "NotFound", False),
        (429, "TooManyRequests", True),
        (500, "ServerError", True),
        (418, "UnexpectedStatus", False),
    ],
)
async def test_a_refusal_is_told_with_its_status(
    server: FileServer, fetched: Fetch, status: int, reason: str, retryable: bool
) -> None:
    server.statuses = [status] * 20
    error = await refused(fetched)
    assert (error.reason, error.retryable) == (reason, retryable)
    assert str(status) in error.message
    assert len(server.asked) == (6 if retryable else 1), "what may heal is tried again, a bounded number of times"


async def test_a_server_that_is_down_for_a_moment_is_asked_again(server: FileServer, fetched: Fetch) -> None:
    server.statuses = [503, 500, 429]
    assert (await fetched()).sha256 == server.sha256


async def test_an_unreachable_host_is_named(fetched: Fetch) -> None:
    error = await refused(fetched, source="http://127.0.0.1:9/model.gguf")
    assert (error.reason, error.retryable) == ("HostUnreachable", True)
    assert "127.0.0.1:9" in error.message


async def test_a_private_address_is_denied_unless_the_administrator_allows_it(
    fetched: Fetch, server: FileServer
) -> None:
    error = await refused(fetched, policy=SourcePolicy())
    assert (error.reason, error.retryable) == ("SourceDenied", False)
    assert server.asked == []


async def test_a_redirect_is_held_to_the_same_policy(fetched: Fetch, server: FileServer) -> None:
    server.redirect = "http://169.254.169.254/latest/meta-data/model.gguf"
    error = await refused(fetched)
    assert error.reason == "SourceDenied"
    assert "169.254.169.254" in error.message


async def test_a_redirect_loop_ends(fetched: Fetch, server: FileServer) -> None:
    server.redirect = server.url
    assert (await refused(fetched)).reason == "TooManyRedirects"
    assert len(server.asked) == 10


async def test_a_server_that_sends_less_than_it_said_is_not_believed(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    server.cut_after = [0] * 50
    error = await refused(fetched)
    assert error.retryable
    assert files(cache, "blobs") == []


async def test_two_fetches_of_one_file_download_it_once(server: FileServer, fetched: Fetch) -> None:
    first, second = await asyncio.gather(fetched(sha256=server.sha256), fetched(sha256=server.sha256))
    assert first == second
    assert server.sent < len(server.content) * 1.1


async def test_the_parts_of_a_split_model_are_one_model(server: FileServer, fetched: Fetch, cache: Path) -> None:
    source = server.url.replace("model.gguf", "big-00001-of-00003.gguf")
    done = await fetched(source=source)
    assert (done.files, done.bytes) == (3, 3 * len(server.content))
    assert files(cache, f"models/team/tiny/{done.sha256[:12]}") == [f"big-0000{one}-of-00003.gguf" for one in (1, 2, 3)]


async def test_progress_ends_at_all_bytes_and_never_goes_back(
    server: FileServer, fetched: Fetch, seen: list[Progress]
) -> None:
    await fetched()
    told = [one.bytes for one in seen]
    assert told == sorted(told)
    assert (seen[-1].bytes, seen[-1].total) == (len(server.content), len(server.content))


async def test_too_little_space_is_said_with_numbers_before_anything_is_written(
    fetched: Fetch, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmkube.models.cache.MARGIN", 1 << 60)
    error = await refused(fetched)
    assert error.reason == "NoSpace"
    assert "MiB of free space" in error.message
    assert server.sent <= 1


async def test_older_files_of_a_model_go_when_that_is_asked_for_and_no_others(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    first = await fetched()
    server.content, server.etag = gguf(), '"two"'
    second = await fetched()
    assert len(files(cache, "blobs")) == 2, "without --collect nothing goes"
    server.content, server.etag = gguf(), '"three"'
    third = await fetched(keep=(second.sha256[:12],))
    assert third.removed == first.bytes
    assert files(cache, "blobs") == sorted(f"sha256-{each.sha256}" for each in (second, third))
    assert files(cache, "models/team/tiny") == sorted(each.sha256[:12] for each in (second, third))
    await fetched(keep=())
    assert files(cache, "blobs") == [f"sha256-{third.sha256}"]


async def test_a_blob_that_another_model_has_too_stays_when_one_of_them_changes(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    first = await fetched()
    await fetched(name="other")
    server.content, server.etag = gguf(), '"two"'
    second = await fetched(keep=())
    assert files(cache, "blobs") == sorted(f"sha256-{each.sha256}" for each in (first, second))
    assert (cache / f"v1/models/team/other/{first.sha256[:12]}/model.gguf").exists()


async def test_a_projector_is_linked_beside_its_model(server: FileServer, fetched: Fetch, cache: Path) -> None:
    projector = server.url.replace("model", "mmproj")
    done = await fetched(beside=(Wanted(projector),))
    assert (done.sha256, done.files, done.bytes) == (server.sha256, 1, len(server.content))
    assert done.beside == (f"v1/models/team/tiny/{server.sha256[:12]}/mmproj.gguf",)
    assert (cache / done.beside[0]).read_bytes() == server.content


async def test_two_files_of_one_name_cannot_be_linked_together(server: FileServer, fetched: Fetch) -> None:
    error = await refused(fetched, beside=(Wanted(server.url.replace("model.gguf", "other/model.gguf")),))
    assert error.reason == "InvalidSource"
    assert "model.gguf" in error.message


def damage(place: Path) -> None:
    """Change one byte of the blob, in place, as a disk does."""
    content = bytearray(place.read_bytes())
    content[1000] ^= 1
    place.chmod(0o644)
    place.write_bytes(content)


async def test_a_recheck_reads_what_is_there_and_fetches_anew_what_is_damaged(
    server: FileServer, fetched: Fetch, cache: Path
) -> None:
    done = await fetched()
    sound = await fetched(sha256=server.sha256, recheck=True)
    assert (sound.damaged, server.sent <= len(server.content) + 1) == (0, True)
    damage((cache / done.path).resolve())
    assert (await fetched(sha256=server.sha256)).damaged == 0, "only a recheck reads"
    again = await fetched(sha256=server.sha256, recheck=True)
    assert (again.damaged, again.path) == (len(server.content), done.path)
    assert (cache / done.path).read_bytes() == server.content


async def test_a_recheck_leaves_other_models_bytes_alone(server: FileServer, fetched: Fetch, cache: Path) -> None:
    await fetched()
    first = server.sha256
    server.content, server.etag = gguf(), '"two"'
    other = await fetched(name="other")
    damage((cache / other.path).resolve())
    assert (await fetched(sha256=server.sha256, recheck=True, name="tiny")).damaged == 0
    assert first != server.sha256
