"""Taking things out of a real cache directory, while others use it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from llmkube.models.cache import Blob, Cache
from llmkube.models.collect import Inventory, Links, ModelName, Wish, clearing
from llmkube.models.inventory import inventory
from llmkube.models.partial import Identity, Partial
from llmkube.models.removal import Removed, remove
from llmkube.models.verify import drop, found_digest

TINY, BIG = ModelName("team", "tiny"), ModelName("team", "big")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path)
    made.prepare()
    return made


def blob(cache: Cache, content: bytes = b"GGUF one") -> Blob:
    sha256 = hashlib.sha256(content).hexdigest()
    cache.blob(sha256).write_bytes(content)
    return Blob(sha256, len(content))


def cleared(cache: Cache, **wish: object) -> Removed:
    return remove(cache, clearing(inventory(cache), Wish(**wish), now=time.time() + 1))  # type: ignore[arg-type]


def test_what_is_in_a_cache_is_told(cache: Cache) -> None:
    one, two = blob(cache), blob(cache, b"GGUF two")
    cache.link(TINY, one.sha256, {"model.gguf": one})
    partial = Partial(cache.layout.partial("key"), Identity("source", "big.gguf", 100, '"e"'))
    partial.write(0, [b"GGUF"])
    partial.close()
    (cache.layout.folder("blobs") / "notes.txt").write_text("somebody's own")
    found = inventory(cache)
    assert {each.sha256 for each in found.blobs} == {one.sha256, two.sha256}
    assert [(each.model, each.digest12, each.files) for each in found.links] == [
        (TINY, one.sha256[:12], (("model.gguf", one.sha256),))
    ]
    assert [(each.filename, each.total, each.busy) for each in found.partials] == [("big.gguf", 100, False)]
    assert [each.sha256 for each in found.unused] == [two.sha256]


def test_a_directory_that_is_no_cache_holds_nothing(tmp_path: Path) -> None:
    assert inventory(Cache(tmp_path)) == inventory(Cache(tmp_path / "missing")) == Inventory()


def test_unused_blobs_and_partial_files_go_and_others_stay(cache: Cache) -> None:
    one, two = blob(cache), blob(cache, b"GGUF two")
    cache.link(TINY, one.sha256, {"model.gguf": one})
    partial = Partial(cache.layout.partial("key"), Identity("source", "big.gguf", 100, '"e"'))
    partial.write(0, [b"GGUF"])
    partial.close()
    gone = cleared(cache, all_unused=True, partials=True)
    assert ([each.sha256 for each in gone.blobs], [each.key for each in gone.partials]) == ([two.sha256], ["key"])
    assert [each.name for each in cache.layout.folder("blobs").iterdir()] == [f"sha256-{one.sha256}"]
    assert list(cache.layout.folder("partial").iterdir()) == []


async def test_a_blob_that_a_fetch_holds_stays(cache: Cache) -> None:
    one = blob(cache)
    with cache.hold() as holds:
        await holds.add(one.sha256)
        assert cleared(cache, all_unused=True).kept == (one.sha256,)
        assert cache.find(one.sha256) == one
    assert [each.sha256 for each in cleared(cache, all_unused=True).blobs] == [one.sha256]


async def test_a_partial_file_that_is_being_fetched_stays(cache: Cache) -> None:
    partial = Partial(cache.layout.partial("key"), Identity("source", "big.gguf", 100, '"e"'))
    async with cache.lock("key", lambda: None):
        assert [each.busy for each in inventory(cache).partials] == [True]
        assert not cleared(cache, partials=True).partials
    partial.close()
    assert [each.key for each in cleared(cache, partials=True).partials] == ["key"]


def test_a_blob_that_was_linked_after_it_was_looked_at_stays(cache: Cache) -> None:
    one = blob(cache)
    removal = clearing(inventory(cache), Wish(all_unused=True), now=time.time() + 1)
    cache.link(TINY, one.sha256, {"model.gguf": one})
    assert remove(cache, removal).kept == (one.sha256,)
    assert cache.find(one.sha256) == one


def test_links_that_were_made_anew_after_they_were_looked_at_stay(cache: Cache) -> None:
    one = blob(cache)
    cache.link(TINY, one.sha256, {"model.gguf": one})
    folder = cache.layout.links(TINY, one.sha256[:12])
    os.utime(folder, (1.0, 1.0))
    removal = clearing(inventory(cache), Wish(models=(TINY,)), now=time.time() + 1)
    cache.link(TINY, one.sha256, {"model.gguf": one})
    gone = remove(cache, removal)
    assert (gone.links, gone.blobs) == ((), ())
    assert (folder / "model.gguf").exists()


def test_a_model_that_is_gone_takes_only_its_own_with_it(cache: Cache) -> None:
    one, two = blob(cache), blob(cache, b"GGUF two")
    cache.link(TINY, one.sha256, {"model.gguf": one, "mmproj.gguf": two})
    cache.link(BIG, one.sha256, {"model.gguf": one})
    gone = cleared(cache, models=(TINY,))
    assert [each.sha256 for each in gone.blobs] == [two.sha256]
    assert not (cache.layout.folder("models") / "team" / "tiny").exists()
    assert (cache.layout.links(BIG, one.sha256[:12]) / "model.gguf").exists()


def test_what_somebody_put_beside_the_links_stays(cache: Cache) -> None:
    one = blob(cache)
    cache.link(TINY, one.sha256, {"model.gguf": one})
    own = cache.layout.links(TINY, one.sha256[:12]) / "notes.txt"
    own.write_text("mine")
    assert [each.model for each in cleared(cache, models=(TINY,)).links] == [TINY]
    assert own.read_text() == "mine"


def test_a_corrupted_blob_is_found_and_goes_though_a_model_has_it(cache: Cache) -> None:
    one = blob(cache)
    cache.link(TINY, one.sha256, {"model.gguf": one})
    entry = inventory(cache).blobs[0]
    assert found_digest(cache, entry, lambda _: None) == one.sha256
    cache.blob(one.sha256).write_bytes(b"GGUF 0ne")
    assert found_digest(cache, entry, lambda _: None) == hashlib.sha256(b"GGUF 0ne").hexdigest()
    assert drop(cache, entry)
    assert inventory(cache).missing == (one.sha256,)
    assert found_digest(cache, entry, lambda _: None) is None


def test_reading_a_blob_to_verify_it_is_no_use_of_it(cache: Cache) -> None:
    one = blob(cache)
    os.utime(cache.blob(one.sha256), (5.0, 5.0))
    entry = inventory(cache).blobs[0]
    found_digest(cache, entry, lambda _: None)
    assert inventory(cache).blobs[0].used == 5.0


def test_a_link_out_of_the_cache_is_nobodys(cache: Cache) -> None:
    folder = cache.layout.links(TINY, "0" * 12)
    folder.mkdir(parents=True)
    (folder / "model.gguf").symlink_to("/etc/passwd")
    assert [each.files for each in inventory(cache).links] == [()]
    assert isinstance(inventory(cache).links[0], Links)
