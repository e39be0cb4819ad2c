"""The cache directory: what has a name there is complete, and links say which model it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from llmkube.models.cache import Blob, Cache, model_digest
from llmkube.models.collect import ModelName
from llmkube.models.download import commit
from llmkube.models.errors import SourceError
from llmkube.models.partial import Identity, Partial

CONTENT = b"GGUF" + bytes(range(256)) * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()
TINY = ModelName("team", "tiny")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path)
    made.prepare()
    return made


def committed(cache: Cache) -> Blob:
    part = Partial(cache.layout.partial("key"), Identity("the source", "tiny.gguf", len(CONTENT)))
    part.write(0, [CONTENT])
    return commit(cache, part, DIGEST, "known")


def test_bytes_get_their_name_when_they_are_committed_and_not_before(cache: Cache) -> None:
    part = Partial(cache.layout.partial("key"), Identity("the source", "tiny.gguf", len(CONTENT)))
    part.write(0, [CONTENT])
    assert cache.find(DIGEST) is None
    assert commit(cache, part, DIGEST) == cache.find(DIGEST) == Blob(DIGEST, len(CONTENT))
    assert list(cache.layout.folder("partial").iterdir()) == []


def test_a_link_is_relative_so_that_the_cache_may_be_mounted_anywhere(cache: Cache) -> None:
    cache.link(TINY, DIGEST, {"tiny.gguf": committed(cache)})
    path = Path("v1", "models", "team", "tiny", DIGEST[:12], "tiny.gguf")
    assert not (cache.root / path).readlink().is_absolute()
    moved = cache.root.rename(cache.root.with_name("moved"))
    assert (moved / path).read_bytes() == CONTENT


def test_what_a_source_became_is_remembered_while_its_blob_is_there(cache: Cache) -> None:
    cache.remember("known", DIGEST)
    assert cache.known("known") is None
    assert committed(cache) == cache.known("known")
    assert cache.known("other") is None


def test_a_blob_of_another_size_than_the_source_says_is_as_good_as_missing(cache: Cache) -> None:
    blob = committed(cache)
    assert cache.find(DIGEST, blob.size) == blob
    assert cache.find(DIGEST, blob.size + 1) is None


def test_a_directory_where_a_blob_should_be_is_named_and_left_alone(cache: Cache) -> None:
    cache.blob(DIGEST).mkdir()
    with pytest.raises(SourceError, match=r"expected a file at v1/blobs/sha256-\w+, found a directory") as caught:
        cache.find(DIGEST)
    assert (caught.value.reason, caught.value.retryable) == ("CacheDamaged", False)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "v1").write_text("a file")
    with pytest.raises(SourceError) as caught:
        Cache(tmp_path).prepare()
    assert (caught.value.reason, caught.value.retryable) == ("CacheNotWritable", False)
    assert str(tmp_path) in caught.value.message


def test_a_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    root.write_text("a file")
    with pytest.raises(SourceError, match=r"expected a directory to write to, found: Not a directory") as caught:
        Cache(root).prepare()
    assert caught.value.reason == "CacheNotWritable"


def test_a_directory_that_a_later_version_wrote_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v2").mkdir()
    with pytest.raises(SourceError, match=r"expected layout v1, found v2") as caught:
        Cache(tmp_path).prepare()
    assert (caught.value.reason, caught.value.retryable) == ("CacheTooNew", False)
    assert [each.name for each in tmp_path.iterdir()] == ["v2"], "nothing is written beside it"


def test_the_digest_of_a_split_model_is_of_its_parts_digests_in_order() -> None:
    assert model_digest(["a" * 64]) == "a" * 64
    assert model_digest(["a" * 64, "b" * 64]) == hashlib.sha256(b"a" * 64 + b"b" * 64).hexdigest()
