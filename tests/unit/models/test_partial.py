"""A partial file: what is believed after a kill is what was noted as on disk, of the very same file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llmkube.models.errors import SourceError
from llmkube.models.extents import Extents
from llmkube.models.partial import Identity, Partial

CONTENT = b"GGUF" + bytes(range(256)) * 100
SIZE = len(CONTENT)
IDENTITY = Identity("the source", "tiny.gguf", SIZE, '"one"')


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "key"


def begun(place: Path, identity: Identity = IDENTITY) -> Partial:
    partial = Partial(place, identity)
    partial.resume()
    return partial


def killed(partial: Partial) -> None:
    os.close(partial._descriptor)  # what a kill does: nothing is noted any more


def test_pieces_are_picked_up_where_they_were_noted_and_nothing_else_is(place: Path) -> None:
    first = begun(place)
    first.write(0, [CONTENT[:100], CONTENT[100:200]])
    first.write(1000, [CONTENT[1000:1100]])
    first.sync()
    first.write(5000, [CONTENT[5000:6000]])
    assert first.unnoted == 1000
    killed(first)
    second = begun(place)
    assert second.written == second.noted == Extents(((0, 200), (1000, 1100)))
    assert second.resumed == 300
    second.discard()


def test_nothing_is_noted_before_it_is_on_disk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash of the machine may leave zeros where something was written and not synced."""
    calls: list[str] = []
    sync, replace = os.fdatasync, os.replace
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (calls.append("data"), sync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("note"), replace(*names)))
    partial = begun(place)
    partial.write(0, [CONTENT])
    partial.sync()
    assert calls == ["data", "note"]
    partial.write(SIZE, [CONTENT])
    monkeypatch.setattr(os, "fdatasync", lambda _: os.write(-1, b""))
    with pytest.raises(OSError, match="Bad file descriptor"):
        partial.sync()
    killed(partial)
    again = begun(place)
    assert again.written == Extents(((0, SIZE),))
    again.discard()


def test_what_is_closed_in_order_is_noted_whole(place: Path) -> None:
    first = begun(place)
    first.write(0, [CONTENT])
    first.close()
    second = begun(place)
    assert second.written.length == SIZE
    second.discard()
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("other", "believed"),
    [
        (Identity("the source", "tiny.gguf", SIZE, '"one"'), True),
        (Identity("the source", "tiny.gguf", SIZE, '"two"'), False),
        (Identity("the source", "tiny.gguf", SIZE + 1, '"one"'), False),
        (Identity("a mirror", "tiny.gguf", SIZE, '"two"', by_digest=True), True),
        (Identity("a mirror", "tiny.gguf", SIZE + 1, '"one"', by_digest=True), False),
    ],
    ids=["the same", "another tag", "another size", "another tag but one digest", "one digest but another size"],
)
def test_bytes_of_another_file_are_not_believed(place: Path, other: Identity, believed: bool) -> None:
    first = begun(place)
    first.write(0, [CONTENT])
    first.close()
    second = begun(place, other)
    assert (second.written.length == SIZE) is believed
    second.discard()


@pytest.mark.parametrize(
    "note",
    [
        "lots",
        "",
        "[]",
        '{"extents": [[5, 3]]}',
        '{"extents": [[0, "9"]]}',
        '{"extents": [[-4, 9]]}',
        '{"extents": [[0, 1, 2]]}',
        '{"extents": 7}',
    ],
)
def test_a_note_that_is_nonsense_means_from_the_beginning(place: Path, note: str) -> None:
    first = begun(place)
    first.write(0, [CONTENT])
    first.close()
    told = json.loads(place.with_name("key.json").read_text())
    spoiled = json.dumps(told | json.loads(note)) if note.startswith("{") else note
    place.with_name("key.json").write_text(spoiled)
    second = begun(place)
    assert second.written == Extents()
    second.discard()


def test_a_note_without_its_file_is_not_believed_of_the_next_one(place: Path) -> None:
    """A kill between the rename of the file and the end of its note, and then a file of that length again."""
    first = begun(place)
    first.write(0, [CONTENT])
    first.close()
    place.rename(place.with_name("blob"))
    second = begun(place)
    second.reserve()
    assert second.written == Extents()
    killed(second)
    third = begun(place)
    assert third.written == Extents()
    third.discard()


def test_a_file_that_became_shorter_is_believed_as_far_as_it_goes(place: Path) -> None:
    first = begun(place)
    first.write(0, [CONTENT])
    first.close()
    os.truncate(place, 50)
    second = begun(place)
    assert second.written == Extents(((0, 50),))
    second.discard()


def test_a_second_writer_on_a_volume_without_locks_is_noticed_at_the_next_note(place: Path) -> None:
    first = begun(place)
    first.write(0, [CONTENT[:100]])
    first.sync()
    second = begun(place)
    first.write(100, [CONTENT[100:200]])
    with pytest.raises(SourceError, match=r"only writer, found another.*locks between machines"):
        first.sync()
    second.discard()
    first._close()


def test_space_is_taken_before_it_is_written(place: Path) -> None:
    partial = begun(place, Identity("the source", "tiny.gguf", 1 << 20))
    partial.reserve()
    assert partial.allocated >= 1 << 20 or os.statvfs(place).f_bavail == 0
    partial.discard()


def test_a_thread_that_outlives_its_fetch_writes_into_nothing_else(place: Path) -> None:
    partial = begun(place)
    partial.close()
    with pytest.raises(OSError, match="closed"):
        partial.write(0, [CONTENT])


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\n<!doctype HTML><html>", "an HTML page"),
        (b'{"error": "no"}', "a JSON document"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x1f\x8b\x08", "gzip-compressed bytes"),
        (b"GGML", "other bytes"),
        (b"", "other bytes"),
    ],
)
def test_what_is_no_gguf_is_refused_by_its_first_bytes(place: Path, start: bytes, said: str) -> None:
    partial = begun(place)
    with pytest.raises(SourceError, match=said) as caught:
        partial.write(0, [start])
    assert (caught.value.reason, caught.value.retryable) == ("NotGGUF", False)
    partial.discard()
