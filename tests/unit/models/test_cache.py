"""The cache directory: what has a name there is complete, and links say which model it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from llmkube.models.cache import Cache, model_digest
from llmkube.models.errors import SourceError
from llmkube.models.partial import CHECKPOINT, Partial

CONTENT = b"GGUF" + bytes(range(256)) * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path)
    made.prepare()
    return made


def partial(cache: Cache) -> Partial:
    return Partial(cache.partial("key"), source="the source")


def test_bytes_get_their_name_when_they_are_committed_and_not_before(cache: Cache) -> None:
    part = partial(cache)
    part.write(CONTENT)
    assert cache.find(DIGEST) is None
    part.finish()
    blob = cache.commit(part.path, part.digest)
    assert cache.find(DIGEST) == blob
    assert not part.path.exists()


def test_a_link_is_relative_so_that_the_cache_may_be_mounted_anywhere(cache: Cache) -> None:
    part = partial(cache)
    part.write(CONTENT)
    part.finish()
    path = cache.link("team", "tiny", DIGEST, {"tiny.gguf": cache.commit(part.path, DIGEST)})
    assert path == f"v1/models/team/tiny/{DIGEST[:12]}/tiny.gguf"
    assert not (cache.root / path).readlink().is_absolute()
    moved = cache.root.rename(cache.root.with_name("moved"))
    assert (moved / path).read_bytes() == CONTENT


def test_an_interrupted_file_is_picked_up_to_what_was_noted_as_on_disk(cache: Cache) -> None:
    first = partial(cache)
    first.write(CONTENT)
    first.close()
    with first.path.open("ab") as file:
        file.write(b"never noted")
    second = partial(cache)
    second.resume()
    assert (second.length, second.digest) == (len(CONTENT), DIGEST)
    second.close()


def test_a_large_file_is_noted_now_and_then(cache: Cache) -> None:
    part = partial(cache)
    part.write(b"GGUF" + bytes(CHECKPOINT))
    assert int(part.path.with_name("key.synced").read_text()) == CHECKPOINT + 4
    part.discard()
    assert list((cache.root / "v1" / "partial").iterdir()) == []


def test_a_note_that_is_nonsense_means_from_the_beginning(cache: Cache) -> None:
    part = partial(cache)
    part.write(CONTENT)
    part.close()
    part.path.with_name("key.synced").write_text("lots")
    again = partial(cache)
    again.resume()
    assert again.length == 0
    again.discard()


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\n<!doctype HTML><html>", "an HTML page"),
        (b'{"error": "no"}', "a JSON document"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"PK\x03\x04", "a zip archive"),
        (b"GGML", "other bytes"),
        (b"", "other bytes"),
    ],
)
def test_what_is_no_gguf_is_refused_by_its_first_bytes(cache: Cache, start: bytes, said: str) -> None:
    part = partial(cache)
    with pytest.raises(SourceError, match=said) as caught:
        part.write(start)
    assert (caught.value.reason, caught.value.retryable) == ("NotGGUF", False)
    part.discard()


def test_what_a_source_became_is_remembered_while_its_blob_is_there(cache: Cache) -> None:
    cache.remember("key", DIGEST)
    assert cache.known("key") is None
    cache.blob(DIGEST).write_bytes(CONTENT)
    assert cache.known("key") == cache.find(DIGEST)
    assert cache.known("other") is None


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "v1").write_text("a file")
    with pytest.raises(SourceError) as caught:
        Cache(tmp_path).prepare()
    assert (caught.value.reason, caught.value.retryable) == ("CacheNotWritable", False)
    assert str(tmp_path) in caught.value.message


def test_the_digest_of_a_split_model_is_of_its_parts_digests_in_order() -> None:
    assert model_digest(["a" * 64]) == "a" * 64
    assert model_digest(["a" * 64, "b" * 64]) == hashlib.sha256(b"a" * 64 + b"b" * 64).hexdigest()
