"""The last look at verified files: whole, and as many as they say."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from llmkube.gguf.arrived import complete
from llmkube.models.errors import SourceError

SOURCE = "https://models.example/m-00001-of-00003.gguf"


def part(place: Path, number: int, count: int | None) -> Path:
    """A GGUF whose header says how many parts there are (u16, as llama.cpp's gguf-split writes it)."""
    key = b"split.count"
    pair = struct.pack("<Q", len(key)) + key + struct.pack("<IH", 2, count) if count is not None else b""
    path = place / f"blob-{number}"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1 if pair else 0) + pair + bytes(64))
    return path


@pytest.mark.parametrize(
    ("stated", "files", "said"),
    [
        ([3, 3, 3], 3, ""),
        ([None], 1, ""),
        (
            [None, None, None],
            3,
            r"expected 1 file\(s\), as the header says, found 3 by the name; it must be NAME\.gguf",
        ),
        ([4, 4, 4], 3, r"expected 4 file\(s\).*found 3.*NAME-00001-of-00004\.gguf"),
        ([3, 4, 3], 3, r"expected 3 or 4 file\(s\)"),
        ([3], 1, r"expected 3 file\(s\).*found 1"),
    ],
)
def test_the_number_of_parts_must_be_the_one_that_the_headers_say(
    tmp_path: Path, stated: list[int | None], files: int, said: str
) -> None:
    paths = [part(tmp_path, number, count) for number, count in enumerate(stated)]
    assert len(paths) == files
    if not said:
        complete(SOURCE)(paths)
        return
    with pytest.raises(SourceError, match=said) as caught:
        complete(SOURCE)(paths)
    assert (caught.value.reason, caught.value.retryable) == ("Malformed", False)


def test_bytes_that_are_no_gguf_are_named_by_their_source_and_not_by_their_blob(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"GGUF" + bytes(3))
    with pytest.raises(SourceError) as caught:
        complete(SOURCE)([path])
    assert SOURCE in caught.value.message
    assert str(path) not in caught.value.message
