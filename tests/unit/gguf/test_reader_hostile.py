"""The reader on bytes that somebody made to hurt: bounded memory, one line of error, nothing else."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable

import pytest

from llmkube.gguf.errors import GGUFError, NeedMore
from llmkube.gguf.reader import parse

Build = Callable[..., bytes]
STRING, ARRAY, UINT8, UINT32 = 8, 9, 0, 4


def array(kind: int, count: int, body: bytes = b"") -> bytes:
    return struct.pack("<IIQ", ARRAY, kind, count) + body


def nested(kind: int, count: int, body: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + body


def refused(data: bytes) -> GGUFError:
    with pytest.raises(GGUFError) as caught:
        parse(data)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 600
    return caught.value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html>\n<html><body>Sign in", "an HTML page .*web page, use the file's download link"),
        (b"\n\n  <html>", "an HTML page"),
        (b'{"error": "Repository not found"}', "JSON .*Repository.*answered with a message"),
        (b"<?xml version='1.0'?><Error>", "XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS pointer .*git lfs pull"),
        (b"PK\x03\x04\x14\x00", "a ZIP archive .*unpack"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"lmgg\x01\x00\x00\x00", "before GGUF"),
        (b"Not Found", "text .*Not Found"),
        (b"\x93NUMPY\x01\x00", "other bytes"),
    ],
)
def test_bytes_that_are_no_gguf_are_called_what_they_are(data: bytes, words: str) -> None:
    with pytest.raises(GGUFError, match=words) as caught:
        parse(data)

    assert caught.value.reason == "NotGGUF"
    assert "\n" not in caught.value.message


def test_a_big_endian_file_is_called_that(header: Build) -> None:
    assert refused(header(version=0x03000000)).reason == "BigEndian"


@pytest.mark.parametrize("version", [0, 1, 4, 2**32 - 1])
def test_other_versions_are_refused_by_their_number(header: Build, version: int) -> None:
    error = refused(header(version=version))

    assert error.reason == "UnsupportedVersion"
    assert str(version) in error.message


@pytest.mark.parametrize("counts", [{"keys": 65_537}, {"keys": 2**64 - 1}, {"count": 65_537}, {"count": 2**63}])
def test_counts_beyond_the_limits_are_refused_before_anything_is_read(header: Build, counts: dict[str, int]) -> None:
    assert refused(header(**counts)).reason == "TooLarge"


@pytest.mark.parametrize(
    "value",
    [
        struct.pack("<IQ", STRING, 4 * 1024 * 1024 + 1),
        struct.pack("<IQ", STRING, 2**64 - 1),
        array(STRING, 16 * 1024 * 1024 + 1),
        array(UINT8, 2**64 - 1),
        array(STRING, 2000, struct.pack("<Q", 2**63)),
        array(ARRAY, 1, nested(ARRAY, 1, nested(ARRAY, 1, nested(UINT8, 1, b"x")))),
        array(ARRAY, 2000),
    ],
)
def test_lengths_and_nesting_beyond_the_limits_are_refused(header: Build, value: bytes) -> None:
    assert refused(header((b"key", value))).reason == "TooLarge"


def test_three_levels_of_arrays_are_read(header: Build) -> None:
    value = array(ARRAY, 1, nested(ARRAY, 2, nested(UINT8, 1, b"\x07") + nested(UINT8, 0)))

    assert parse(header((b"key", value))).metadata == {"key": [[[7], []]]}


def test_no_header_makes_the_reader_ask_for_more_than_the_limit(header: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmkube.gguf.cursor.LARGEST_HEADER", 64 * 1024)
    token = struct.pack("<Q", 40 * 1024) + bytes(40 * 1024)
    within = header((b"key", array(STRING, 2000, token[:8])))
    beyond = header((b"key", array(STRING, 2000, token + token[:8])))

    with pytest.raises(NeedMore):
        parse(within)
    assert refused(beyond).reason == "TooLarge"
    assert refused(header((b"key", array(UINT8, 80 * 1024)))).reason == "TooLarge"


def test_what_cannot_fit_into_any_header_is_refused_before_it_is_read(
    header: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmkube.gguf.cursor.LARGEST_HEADER", 64 * 1024)

    assert refused(header((b"key", array(STRING, 9000, b"")))).reason == "TooLarge"
    assert refused(header(count=3000)).reason == "TooLarge"
    assert refused(header(keys=6000)).reason == "TooLarge"


@pytest.mark.parametrize("kind", [13, 255, 2**32 - 1])
def test_an_unknown_type_of_value_is_malformed_and_its_key_is_named(header: Build, kind: int) -> None:
    error = refused(header((b"some.key", struct.pack("<I", kind))))

    assert error.reason == "Malformed"
    assert "some.key" in error.message


def test_a_key_that_comes_twice_is_malformed(header: Build) -> None:
    one = (b"key", struct.pack("<II", UINT32, 1))

    assert refused(header(one, one)).reason == "Malformed"


@pytest.mark.parametrize("alignment", [0, 4, 12, 2**31])
def test_an_alignment_that_is_no_power_of_two_in_bounds_is_malformed(header: Build, alignment: int) -> None:
    assert refused(header((b"general.alignment", struct.pack("<II", UINT32, alignment)))).reason == "Malformed"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"shape": (1, 1, 1, 1, 1)}, "TooLarge"),
        ({"shape": (2**63, 2**63)}, "TooLarge"),
        ({"offset": 2**63}, "TooLarge"),
        ({"name": b"n" * 1025}, "TooLarge"),
        ({"offset": 33}, "Malformed"),
        ({"shape": (100,), "kind": 12}, "Malformed"),
        ({"kind": 4}, "UnsupportedVersion"),
        ({"kind": 4000}, "UnsupportedVersion"),
    ],
)
def test_tensors_that_cannot_be_are_refused(
    header: Build, tensor: Build, options: dict[str, object], reason: str
) -> None:
    assert refused(header(tensors=[tensor(**options)])).reason == reason


@pytest.mark.parametrize(
    "value",
    [
        array(ARRAY, 1024, nested(UINT8, 1024, bytes(range(256)) * 4) * 1024),
        array(ARRAY, 1024, nested(ARRAY, 1024, nested(UINT8, 0) * 1024) * 1024)[: 12 * 1024 * 1024],
        struct.pack("<IQ", STRING, 4 * 1024 * 1024) + "𝄞".encode() * 1024 * 1024,
    ],
    ids=["lists of numbers", "lists of empty lists", "wide text"],
)
def test_small_bytes_do_not_become_large_objects(header: Build, value: bytes) -> None:
    data = header(*((b"key %d" % number, value) for number in range(10)))
    tracemalloc.start()

    with pytest.raises((GGUFError, NeedMore)):
        parse(data)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 128 * 1024 * 1024
