"""What a header says of its vocabulary: enough to tell whether a small model can draft for a large one. Pure.

llama.cpp compares (common/speculative.cpp) the kind of the vocabulary, the number of tokens, whether and which begin
and end tokens are put around a text, and each token from the fifth on: the first ones are where families differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.gguf.values import TOKENS, ArrayStub

if TYPE_CHECKING:
    from llmkube.gguf.keys import Keys

DIGEST_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """None is "the header does not say". `digest`: of the tokens but for the first few, in hex."""

    model: str
    add_bos: bool | None
    add_eos: bool | None
    bos: int | None
    eos: int | None
    digest: str | None


def tokenizer(keys: Keys) -> Tokenizer | None:
    """The vocabulary of a header; None when it has none."""
    model = keys.text("tokenizer.ggml.model")
    if not model:
        return None
    return Tokenizer(
        model=model,
        add_bos=keys.flag("tokenizer.ggml.add_bos_token"),
        add_eos=keys.flag("tokenizer.ggml.add_eos_token"),
        bos=keys.count("tokenizer.ggml.bos_token_id"),
        eos=keys.count("tokenizer.ggml.eos_token_id"),
        digest=_digest(keys.metadata.get(TOKENS)),
    )


def _digest(tokens: object) -> str | None:
    if isinstance(tokens, ArrayStub):
        return tokens.digest[:DIGEST_LENGTH] or None
    return None
