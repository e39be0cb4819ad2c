"""Any bytes at all end in a Header, a GGUFError or a wish for more, and what is a Header gives facts or a GGUFError."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmkube.gguf.cursor import LARGEST_HEADER
from llmkube.gguf.errors import GGUFError, NeedMore
from llmkube.gguf.facts import facts
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions, PlanError
from llmkube.gguf.reader import parse

WriteGGUF = Callable[..., Path]
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def exercise(data: bytes) -> str:
    """What came of the bytes; anything but the three ends of the reader fails the test by itself."""
    try:
        found = facts(parse(data))
    except NeedMore as more:
        asked, reason = more.at_least, "NeedMore"
    except GGUFError as error:
        asked, reason = 0, error.reason if "\n" not in error.message else ""
    else:
        try:
            planned = plan(found, EngineOptions(context=4096, parallel=3, gpus=2, gpu_layers=3))
        except PlanError:
            return "facts"
        assert 0 <= planned.sum.model <= 2 * found.weights_bytes
        return "facts"
    assert reason != "NeedMore" or len(data) < asked <= LARGEST_HEADER
    return reason


@pytest.fixture(scope="module")
def model() -> list[bytes]:
    """Where the one model is kept between examples."""
    return []


@pytest.fixture
def header(write_gguf: WriteGGUF, model: list[bytes]) -> bytes:
    """The header of one small model with arrays of every sort, written once."""
    if not model:
        extra = {"attention.head_count_kv": [2, 1, 2, 1], "attention.sliding_window": 256, "general.license": "mit"}
        model.append(write_gguf(extra=extra, tokens=1030).read_bytes())
    return model[0][: parse(model[0]).data_offset]


@FUZZ
@given(data=st.data())
def test_a_header_with_some_bytes_changed(header: bytes, data: st.DataObject) -> None:
    changed = bytearray(header)
    interesting = st.integers(0, 700) | st.integers(0, len(header) - 1)
    for place in data.draw(st.lists(interesting, min_size=1, max_size=4)):
        changed[place] = data.draw(st.integers(0, 255))

    assert exercise(bytes(changed))


@FUZZ
@given(data=st.data())
def test_a_header_with_a_number_put_over_its_bytes(header: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(8, 900))
    number = data.draw(st.sampled_from([0, 1, 8, 9, 2**16, 2**24, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1]))

    assert exercise(header[:place] + struct.pack("<Q", number) + header[place + 8 :])


@FUZZ
@given(data=st.data())
def test_a_header_with_a_piece_cut_out_or_doubled(header: bytes, data: st.DataObject) -> None:
    one, other = sorted(data.draw(st.tuples(*[st.integers(0, len(header))] * 2)))
    doubled = data.draw(st.booleans())

    assert exercise(header[:other] + header[one:] if doubled else header[:one] + header[other:])


@FUZZ
@given(tail=st.binary(max_size=400), counts=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_noise_behind_a_good_beginning(tail: bytes, counts: tuple[int, int]) -> None:
    assert exercise(b"GGUF" + struct.pack("<IQQ", 3, *counts) + tail)


@FUZZ
@given(data=st.binary(max_size=64))
def test_noise(data: bytes) -> None:
    assert exercise(data)


VALUES = st.sampled_from(
    [
        struct.pack("<IB", 7, 2),
        struct.pack("<Ii", 5, -1),
        struct.pack("<If", 6, float("nan")),
        struct.pack("<II", 4, 0),
        struct.pack("<II", 4, 2**32 - 1),
        struct.pack("<IQ", 10, 2**64 - 1),
        struct.pack("<IQ", 8, 0),
        struct.pack("<IQ3s", 8, 3, b"\xff\n\x00"),
        struct.pack("<IIQ", 9, 8, 0),
        struct.pack("<IIQI", 9, 4, 1, 7),
        struct.pack("<IIQIQI", 9, 9, 1, 4, 1, 0),
        struct.pack("<IIQ", 9, 0, 1025) + bytes(1025),
    ]
)
KEYS = [b"general.name", b"general.file_type", b"general.license", b"split.count", b"tokenizer.ggml.tokens"]
OWN = ["block_count", "embedding_length", "vocab_size", "expert_count", "feed_forward_length", "context_length"]
OWN += ["expert_used_count", "nextn_predict_layers", "full_attention_interval", "ssm.state_size", "ssm.inner_size"]
ATTENTION = ["head_count", "head_count_kv", "key_length", "sliding_window", "sliding_window_pattern", "causal"]
ATTENTION += ["key_length_mla", "value_length_mla", "shared_kv_layers", "recurrent_layers"]


@FUZZ
@given(values=st.dictionaries(st.sampled_from([*KEYS, *OWN, *ATTENTION]), VALUES, max_size=16))
def test_values_of_wrong_types_and_sizes_under_every_key_that_is_read(values: dict[bytes | str, bytes]) -> None:
    named = {key if isinstance(key, bytes) else _own(key): value for key, value in values.items()}
    pairs = {b"general.architecture": struct.pack("<IQ5s", 8, 5, b"gemma"), **named}
    body = b"".join(struct.pack("<Q", len(key)) + key + value for key, value in pairs.items())

    assert exercise(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + body) in {
        "facts",
        "Malformed",
        "TooLarge",
        "more",
    }


def _own(key: str) -> bytes:
    return f"gemma.{'attention.' if key in ATTENTION else ''}{key}".encode()
