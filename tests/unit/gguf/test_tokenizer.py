"""What a header says of its vocabulary, as far as llama.cpp compares that of a draft."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from tests.tiny import array, text

from llmkube.gguf.errors import GGUFError, NeedMore
from llmkube.gguf.keys import Keys
from llmkube.gguf.reader import parse
from llmkube.gguf.tokenizer import Tokenizer, tokenizer
from llmkube.gguf.values import TOKENS

WORDS = [f"word-{number}" for number in range(2000)]


def header(words: list[str], **keys: int) -> bytes:
    """A header of nothing but a vocabulary."""
    pairs = [
        text("tokenizer.ggml.model") + struct.pack("<I", 8) + text("gpt2"),
        text(TOKENS) + array(8, len(words), map(text, words)),
        *(text(f"tokenizer.ggml.{name}") + struct.pack("<II", 4, value) for name, value in keys.items()),
    ]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs)


def found(words: list[str], **keys: int) -> Tokenizer:
    told = tokenizer(Keys(parse(header(words, **keys)).metadata))
    assert told is not None
    return told


def changed(at: int) -> list[str]:
    return [*WORDS[:at], "other", *WORDS[at + 1 :]]


def test_a_header_without_a_vocabulary_says_nothing() -> None:
    assert tokenizer(Keys({})) is None


def test_its_kind_and_its_tokens_are_told() -> None:
    told = found(WORDS, bos_token_id=1, eos_token_id=2)
    assert (told.model, told.bos, told.eos, told.add_bos) == ("gpt2", 1, 2, None)
    assert told.digest is not None
    assert len(told.digest) == 16


@pytest.mark.parametrize(("at", "is_another"), [(0, False), (4, False), (5, True), (1999, True)])
def test_tokens_are_compared_from_the_fifth_on(at: int, is_another: bool) -> None:
    assert (found(changed(at)).digest != found(WORDS).digest) is is_another


def test_where_a_token_ends_counts() -> None:
    assert found([*WORDS[:9], "a", "bc", *WORDS[11:]]).digest != found([*WORDS[:9], "ab", "c", *WORDS[11:]]).digest


def test_the_digest_is_the_same_however_the_header_arrives() -> None:
    whole, skipped = header(WORDS), dict[int, tuple[int, int]]()
    for end in range(100, len(whole), 997):
        with pytest.raises(NeedMore):
            parse(whole[:end], skipped)
    told = tokenizer(Keys(parse(whole, skipped).metadata))
    assert told == found(WORDS)


@pytest.mark.parametrize("value", [True, 7, ["gpt2"]])
def test_a_kind_that_is_no_text_is_an_error(value: Any) -> None:
    with pytest.raises(GGUFError, match="expected a string"):
        tokenizer(Keys({"tokenizer.ggml.model": value}))


def test_a_vocabulary_that_is_kept_whole_has_no_digest() -> None:
    assert found(WORDS[:100]).digest is None
