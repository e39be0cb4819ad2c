"""The reader on good files: a real one, and small ones by the reference writer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmkube.gguf.errors import GGUFError, NeedMore
from llmkube.gguf.reader import Header, parse, read_file
from llmkube.gguf.values import ArrayStub

Build = Callable[..., bytes]
WriteGGUF = Callable[..., Path]


def test_the_header_of_a_real_model_says_exactly_how_long_its_file_is(smollm2: Path) -> None:
    header = read_file(smollm2)

    assert header.version == 3
    assert header.data_offset + header.tensor_bytes == smollm2.stat().st_size
    assert len(header.tensors) == 272
    assert header.metadata["general.architecture"] == "llama"


def test_a_tokenizer_is_counted_and_not_kept(smollm2: Path) -> None:
    metadata = read_file(smollm2).metadata

    assert metadata["tokenizer.ggml.tokens"] == ArrayStub(49_152, "STRING")
    assert metadata["tokenizer.ggml.token_type"] == ArrayStub(49_152, "INT32")


def test_every_type_of_value_is_read_as_it_was_written(write_gguf: WriteGGUF) -> None:
    extra: dict[str, Any] = {"flag": True, "half": 0.5, "word": "größe", "list": [1, 2, 3], "words": ["a", "b"]}

    metadata = read_file(write_gguf(extra=extra)).metadata

    assert {key: metadata[f"llama.{key}"] for key in extra} == extra


@pytest.mark.parametrize("alignment", [None, 64, 4096])
def test_the_alignment_of_the_file_is_honoured(write_gguf: WriteGGUF, alignment: int | None) -> None:
    path = write_gguf(alignment=alignment, tensors=("a", "b"))

    header = read_file(path)

    assert header.data_offset % (alignment or 32) == 0
    assert [one.offset for one in header.tensors] == [0, max(8192, alignment or 0)]
    assert header.file_bytes <= path.stat().st_size < header.file_bytes + (alignment or 32)


def test_sizes_of_quantised_tensors_are_whole_blocks(header: Build, tensor: Build) -> None:
    found = parse(header(tensors=[tensor(shape=(512, 3), kind=12), tensor(name=b"u", shape=(64, 2), kind=8)]))

    assert [(one.type, one.elements, one.size) for one in found.tensors] == [
        ("Q4_K", 1536, 6 * 144),
        ("Q8_0", 128, 4 * 34),
    ]


def test_version_2_is_read_as_well(header: Build, tensor: Build) -> None:
    assert parse(header(version=2, tensors=[tensor()])).version == 2


def test_every_prefix_of_a_header_asks_for_more_and_never_for_more_than_there_is(write_gguf: WriteGGUF) -> None:
    data = write_gguf(tokens=1100).read_bytes()
    whole = parse(data)
    middle = range(900, whole.data_offset - 300, 97)
    tail = range(whole.data_offset - 300, whole.data_offset - 31)

    for length in (*range(900), *middle, *tail):
        with pytest.raises(NeedMore) as caught:
            parse(data[:length])
        assert length < caught.value.at_least <= whole.data_offset


def test_a_file_whose_header_is_longer_than_the_first_read_is_read_further(write_gguf: WriteGGUF) -> None:
    path = write_gguf(tokens=120_000)

    header = read_file(path)

    assert header.data_offset > 1024 * 1024
    assert header.metadata["tokenizer.ggml.tokens"] == ArrayStub(120_000, "STRING")


def test_a_header_longer_than_the_limit_is_refused_without_reading_on(write_gguf: WriteGGUF) -> None:
    with pytest.raises(GGUFError, match="at most 4096 bytes") as caught:
        read_file(write_gguf(), limit=4096)

    assert caught.value.reason == "TooLarge"


def test_a_file_that_ends_inside_its_header_is_called_incomplete_with_its_size(
    write_gguf: WriteGGUF, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(write_gguf().read_bytes()[:700])

    with pytest.raises(GGUFError, match="found 700: the file is incomplete") as caught:
        read_file(cut)

    assert caught.value.reason == "Truncated"


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    place = tmp_path / "model.gguf"
    make(place)

    with pytest.raises((GGUFError, IsADirectoryError)):
        read_file(place)


def test_importing_the_reader_does_not_import_numpy() -> None:
    code = "import sys, llmkube.gguf.facts, llmkube.gguf.plan.memory; sys.exit('numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_a_header_is_a_value(header: Build) -> None:
    assert parse(header()) == Header(3, {}, (), 24, 0)
