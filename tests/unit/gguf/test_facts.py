"""What is read out of a header, and what is refused in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmkube.gguf.errors import GGUFError
from llmkube.gguf.facts import ModelFacts, facts
from llmkube.gguf.reader import Header, TensorInfo, read_file
from llmkube.gguf.values import ArrayStub

Tiny = Callable[..., ModelFacts]


def of(metadata: dict[str, Any], *tensors: TensorInfo) -> ModelFacts:
    return facts(Header(3, {"general.architecture": "llama", **metadata}, tensors, 0, 0))


def test_the_facts_of_a_real_model(smollm2: Path) -> None:
    found = facts(read_file(smollm2))

    assert (found.architecture, found.quantization, found.license) == ("llama", "Q4_1", "apache-2.0")
    assert (found.parameters, found.weights_bytes) == (134_515_008, 96_576_768)
    assert (found.context_length, found.block_count, found.embedding_length) == (8192, 30, 576)
    assert (found.head_count, found.head_count_kv, found.attention.heads_kv) == (9, 3, (3,) * 30)
    assert (found.vocabulary_size, found.chat_template, found.split_count) == (49_152, True, None)
    assert found.weights.tied == 49_152 * 576 * 34 // 32  # its embedding is Q8_0, and its output matrix too


@pytest.mark.parametrize(
    ("number", "name"), [(0, "F32"), (1, "F16"), (15, "Q4_K_M"), (32, "BF16"), (15 + 1024, "Q4_K_M")]
)
def test_the_stated_file_type_is_the_quantisation(tiny: Tiny, number: int, name: str) -> None:
    assert tiny(extra={"general.file_type": number}).quantization == name


def test_a_file_type_newer_than_ours_falls_back_to_the_type_of_most_bytes() -> None:
    small, large = TensorInfo("a", (9999,), "Q8_0", 0, 10), TensorInfo("b", (32,), "Q6_K", 32, 11)

    assert of({"general.file_type": 999}, small, large).quantization == "Q6_K"
    assert of({}).quantization is None


def test_without_key_value_heads_every_head_has_its_own(tiny: Tiny) -> None:
    found = tiny(extra={"attention.head_count_kv": None})

    assert found.attention.heads_kv == (8, 8, 8, 8)


def test_heads_by_layer_are_kept_by_layer_and_the_most_is_told(tiny: Tiny) -> None:
    found = tiny(extra={"attention.head_count_kv": [1, 4, 0, 2]})

    assert (found.attention.heads_kv, found.head_count_kv) == ((1, 4, 0, 2), 4)


def test_the_vocabulary_is_the_tokenizers_or_else_the_stated_size() -> None:
    assert of({"tokenizer.ggml.tokens": ArrayStub(9000, "STRING"), "llama.vocab_size": 1}).vocabulary_size == 9000
    assert of({"tokenizer.ggml.tokens": ["a", "b"]}).vocabulary_size == 2
    assert of({"llama.vocab_size": 77}).vocabulary_size == 77


def test_a_header_without_an_architecture_says_what_is_missing() -> None:
    with pytest.raises(GGUFError, match=r"'general.architecture': expected the name .* found nothing") as caught:
        facts(Header(3, {}, (), 0, 0))

    assert caught.value.reason == "MissingMetadata"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("general.architecture", 7),
        ("general.architecture", "llama\nERROR all is lost"),
        ("general.name", ["a"]),
        ("general.license", 1.5),
        ("general.file_type", "Q4"),
        ("llama.block_count", "many"),
        ("llama.block_count", 1025),
        ("llama.context_length", -1),
        ("llama.context_length", 2**40),
        ("llama.embedding_length", True),
        ("llama.attention.head_count", 8.0),
        ("llama.attention.head_count_kv", [1, "2", 3, 4]),
        ("llama.attention.head_count_kv", [1, 2, 3]),
        ("llama.attention.head_count_kv", ArrayStub(2000, "UINT32")),
        ("llama.attention.sliding_window_pattern", "every second"),
        ("llama.attention.sliding_window_pattern", [1.0] * 4),
        ("llama.attention.sliding_window_pattern", [True]),
        ("tokenizer.ggml.tokens", "all of them"),
        ("tokenizer.chat_template", 3),
    ],
)
def test_a_value_of_a_wrong_type_or_size_is_malformed_and_its_key_is_named(key: str, value: object) -> None:
    with pytest.raises(GGUFError, match=rf"{key!r}: expected .*found ") as caught:
        of({"llama.block_count": 4, key: value})

    assert caught.value.reason == "Malformed"
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300
