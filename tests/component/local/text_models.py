"""Models of a few thousand random numbers that a real engine loads: what embeds, what ranks, and what only talks.

The numbers are those of a seed, so other texts get other vectors and scores, and the same ones each time. A text is
words from w0 to w99.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gguf import GGUFWriter
from tests.certify.writing import vocabulary

if TYPE_CHECKING:
    from pathlib import Path

MEAN, CLS, LAST, RANK = 1, 2, 3, 4
WIDTH, FEED, HEADS, HEADS_KV, LAYERS, TOKENS = 64, 128, 4, 2, 2, 1024
HEAD = WIDTH // HEADS
ASKED = "<s>{query} w7 {document} w8"
"""How a decoder is asked for a score, as its file says it."""


class Writer:
    """A GGUF of random matrices and of norms that change nothing."""

    def __init__(self, path: Path, architecture: str, *, context: int, pooling: int | None) -> None:
        self.gguf = GGUFWriter(path, architecture)
        self._chance = np.random.default_rng(1)
        keys = {"block_count": LAYERS, "context_length": context, "embedding_length": WIDTH}
        keys |= {"feed_forward_length": FEED, "attention.head_count": HEADS}
        for key, value in (keys | ({"pooling_type": pooling} if pooling is not None else {})).items():
            self.gguf.add_uint32(f"{architecture}.{key}", value)

    def matrix(self, name: str, *shape: int) -> None:
        self.gguf.add_tensor(f"{name}.weight", self._random(shape))

    def layer(self, name: str, *shape: int) -> None:
        """A matrix and its bias, which is as long as its output."""
        self.matrix(name, *shape)
        self.gguf.add_tensor(f"{name}.bias", self._random(shape[:1]))

    def norm(self, name: str, length: int = WIDTH, *, biased: bool = False) -> None:
        self.gguf.add_tensor(f"{name}.weight", np.ones(length, dtype=np.float32))
        if biased:
            self.gguf.add_tensor(f"{name}.bias", np.zeros(length, dtype=np.float32))

    def close(self) -> None:
        self.gguf.write_header_to_file()
        self.gguf.write_kv_data_to_file()
        self.gguf.write_tensors_to_file()
        self.gguf.close()

    def _random(self, shape: tuple[int, ...]) -> np.ndarray:
        found: np.ndarray = (0.2 * self._chance.standard_normal(shape)).astype(np.float32)
        return found


def write_encoder(path: Path, *, pooling: int | None, head: bool = False, context: int = 2048) -> None:
    """Write a BERT, as bge-reranker is one with `head`: a layer and an output of one score."""
    writer = Writer(path, "bert", context=context, pooling=pooling)
    writer.gguf.add_layer_norm_eps(1e-12)
    writer.gguf.add_causal_attention(value=False)
    vocabulary(writer.gguf, "bert", TOKENS)
    writer.matrix("token_embd", TOKENS, WIDTH)
    writer.matrix("token_types", 2, WIDTH)
    writer.matrix("position_embd", context, WIDTH)
    writer.norm("token_embd_norm", biased=True)
    for block in (f"blk.{number}" for number in range(LAYERS)):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.layer(f"{block}.{name}", WIDTH, WIDTH)
        writer.norm(f"{block}.attn_output_norm", biased=True)
        writer.norm(f"{block}.layer_output_norm", biased=True)
        writer.layer(f"{block}.ffn_up", FEED, WIDTH)
        writer.layer(f"{block}.ffn_down", WIDTH, FEED)
    if head:
        writer.layer("cls", WIDTH, WIDTH)
        writer.layer("cls.output", 1, WIDTH)
    writer.close()


def write_decoder(path: Path, *, pooling: int | None = None, head: bool = False, context: int = 2048) -> None:
    """Write a Qwen3, as Qwen3-Reranker is one with `head`: two numbers, for yes and no, and a prompt that asks."""
    writer = Writer(path, "qwen3", context=context, pooling=pooling)
    writer.gguf.add_head_count_kv(HEADS_KV)
    writer.gguf.add_key_length(HEAD)
    writer.gguf.add_value_length(HEAD)
    writer.gguf.add_rope_dimension_count(HEAD)
    writer.gguf.add_layer_norm_rms_eps(1e-6)
    vocabulary(writer.gguf, "llama", TOKENS)
    writer.matrix("token_embd", TOKENS, WIDTH)
    writer.norm("output_norm")
    for block in (f"blk.{number}" for number in range(LAYERS)):
        for name, length in {"attn_norm": WIDTH, "ffn_norm": WIDTH, "attn_q_norm": HEAD, "attn_k_norm": HEAD}.items():
            writer.norm(f"{block}.{name}", length)
        writer.matrix(f"{block}.attn_q", HEADS * HEAD, WIDTH)
        writer.matrix(f"{block}.attn_k", HEADS_KV * HEAD, WIDTH)
        writer.matrix(f"{block}.attn_v", HEADS_KV * HEAD, WIDTH)
        writer.matrix(f"{block}.attn_output", WIDTH, HEADS * HEAD)
        writer.matrix(f"{block}.ffn_gate", FEED, WIDTH)
        writer.matrix(f"{block}.ffn_up", FEED, WIDTH)
        writer.matrix(f"{block}.ffn_down", WIDTH, FEED)
    if head:
        writer.gguf.add_string("tokenizer.chat_template.rerank", ASKED)
        writer.gguf.add_array("qwen3.classifier.output_labels", ["yes", "no"])
        writer.matrix("cls.output", 2, WIDTH)
    writer.close()
