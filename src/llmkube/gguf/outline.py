"""The header of a model that is described, not read: from the few numbers of its architecture to all its tensors.

For a plan before there is a file (a catalogue knows models, not their bytes). The names and shapes are those of
llama.cpp's conversion (gguf-py's tensor names), in F16. Pure. What is left out is small: scales, sinks and the like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.gguf.reader import Header, TensorInfo
from llmkube.gguf.values import ArrayStub

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Shape = tuple[int, ...]
Named = tuple[str, Shape]
VERSION = 3
EPSILON = 1e-6
"""Which kind of norm there is counts, not how small its constant is."""
FUSED = frozenset({"phi3", "nomic-bert"})
UNGATED = frozenset({"bert"})
ENCODERS = frozenset({"bert", "nomic-bert"})
BIASED = frozenset({"qwen2", "qwen2vl", "gpt-oss", "bert"})
HEAD_NORMS = frozenset({"qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe", "gemma3", "gemma-embedding", "lfm2"})
POST_NORMS = frozenset({"gemma2", "gemma3", "gemma-embedding"})
KNOWN = (
    frozenset(
        {"llama", "mistral3", "granite", "smollm3", "granitehybrid", "deepseek2"}
        | FUSED
        | ENCODERS
        | BIASED
        | HEAD_NORMS
    )
    | POST_NORMS
)
"""The architectures of which the tensors are known here."""


def outline(architecture: str, keys: Mapping[str, Any], *, vocabulary: int, tied: bool) -> Header:
    """The header of a model in F16. `keys`: the metadata below the architecture's name (`block_count`, …).

    ValueError when the architecture is not of KNOWN, or a number is missing.
    """
    if architecture not in KNOWN:
        raise ValueError(f"architecture {architecture!r}: expected one of {', '.join(sorted(KNOWN))}")
    shapes = _Shapes(architecture, keys, vocabulary, tied)
    tensors = tuple(_tensor(name, shape) for name, shape in shapes.all())
    norm = "attention.layer_norm_epsilon" if architecture in ENCODERS else "attention.layer_norm_rms_epsilon"
    metadata = {
        "general.architecture": architecture,
        f"{architecture}.{norm}": EPSILON,
        "tokenizer.ggml.tokens": ArrayStub(vocabulary, "string"),
        **{f"{architecture}.{key}": value for key, value in keys.items()},
    }
    return Header(VERSION, metadata, tensors, 0, sum(one.size for one in tensors))


def _tensor(name: str, shape: Shape) -> TensorInfo:
    kind = "F32" if len(shape) == 1 or "_norm" in name or "ffn_gate_inp" in name else "F16"
    info = TensorInfo(name, shape, kind, 0, 0)
    return TensorInfo(name, shape, kind, 0, info.elements * (4 if kind == "F32" else 2))


def _missing(key: str, found: object) -> ValueError:
    return ValueError(f"{key}: expected a number, found {found!r}")


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The names and shapes of a model's tensors, innermost dimension first."""

    architecture: str
    keys: Mapping[str, Any]
    vocabulary: int
    tied: bool

    def all(self) -> Iterator[Named]:
        width = self.number("embedding_length")
        yield "token_embd.weight", (width, self.vocabulary)
        if self.architecture == "bert":
            yield "position_embd.weight", (width, self.number("context_length"))
        if self.architecture == "gemma-embedding":
            yield "dense_2.weight", (width, 4 * width)
            yield "dense_3.weight", (4 * width, width)
        yield "output_norm.weight", (width,)
        if not self.tied and self.architecture not in ENCODERS:
            yield "output.weight", (width, self.vocabulary)
        for layer in range(self.number("block_count")):
            for name, shape in (*self.mixer(layer), *self.feed_forward(layer), *self.norms()):
                yield f"blk.{layer}.{name}", shape

    def number(self, key: str, default: int | None = None) -> int:
        found = self.keys.get(key, default)
        if not isinstance(found, int):
            raise _missing(f"{self.architecture}.{key}", found)
        return found

    def heads_kv(self, layer: int) -> int:
        found = self.keys.get("attention.head_count_kv")
        return int(found[layer]) if isinstance(found, list) else self.number("attention.head_count_kv")

    def mixer(self, layer: int) -> Iterator[Named]:
        """What mixes tokens: attention, or where there are no key heads something recurrent."""
        if self.heads_kv(layer) == 0:
            return self.convolution() if self.architecture == "lfm2" else self.state_space()
        return self.latent() if "attention.kv_lora_rank" in self.keys else self.attention(layer)

    def attention(self, layer: int) -> Iterator[Named]:
        width, heads = self.number("embedding_length"), self.number("attention.head_count")
        key = self.number("attention.key_length", width // heads)
        value = self.number("attention.value_length", key)
        outputs = {"q": heads * key, "k": self.heads_kv(layer) * key, "v": self.heads_kv(layer) * value}
        if self.architecture in FUSED:
            outputs = {"qkv": sum(outputs.values())}
        for name, length in outputs.items():
            yield f"attn_{name}.weight", (width, length)
            if self.architecture in BIASED:
                yield f"attn_{name}.bias", (length,)
        yield "attn_output.weight", (heads * value, width)
        if self.architecture in HEAD_NORMS:
            yield from ((f"attn_{name}_norm.weight", (key,)) for name in "qk")

    def latent(self) -> Iterator[Named]:
        """DeepSeek's multi-head latent attention."""
        width, heads = self.number("embedding_length"), self.number("attention.head_count")
        rank, rope = self.number("attention.kv_lora_rank"), self.number("rope.dimension_count")
        key, value = self.number("attention.key_length"), self.number("attention.value_length")
        yield "attn_q.weight", (width, heads * key)
        yield "attn_kv_a_mqa.weight", (width, rank + rope)
        yield "attn_kv_a_norm.weight", (rank,)
        yield "attn_kv_b.weight", (rank, heads * (key - rope + value))
        yield "attn_output.weight", (heads * value, width)

    def convolution(self) -> Iterator[Named]:
        width = self.number("embedding_length")
        yield "shortconv.conv.weight", (self.number("shortconv.l_cache"), width)
        yield "shortconv.in_proj.weight", (width, 3 * width)
        yield "shortconv.out_proj.weight", (width, width)

    def state_space(self) -> Iterator[Named]:
        """Mamba 2."""
        width, inner = self.number("embedding_length"), self.number("ssm.inner_size")
        states = 2 * self.number("ssm.group_count") * self.number("ssm.state_size")
        yield "ssm_in.weight", (width, 2 * inner + states + self.number("ssm.time_step_rank"))
        yield "ssm_conv1d.weight", (self.number("ssm.conv_kernel"), inner + states)
        yield "ssm_norm.weight", (inner,)
        yield "ssm_out.weight", (inner, width)

    def feed_forward(self, layer: int) -> Iterator[Named]:
        experts = self.number("expert_count", 0)
        if not experts or layer < self.number("leading_dense_block_count", 0):
            yield from self.dense("", self.number("feed_forward_length"))
            return
        length = self.number("expert_feed_forward_length", self.number("feed_forward_length", 0))
        yield "ffn_gate_inp.weight", (self.number("embedding_length"), experts)
        for name, shape in self.dense("_exps", length):
            yield name, (*shape, experts)
        shared = self.number("expert_shared_feed_forward_length", self.number("expert_shared_count", 0) * length)
        if shared:
            yield from self.dense("_shexp", shared)

    def dense(self, suffix: str, length: int) -> Iterator[Named]:
        width = self.number("embedding_length")
        if self.architecture == "phi3":
            yield f"ffn_up{suffix}.weight", (width, 2 * length)
        else:
            yield from ((f"ffn_{name}{suffix}.weight", (width, length)) for name in self.gates())
        yield f"ffn_down{suffix}.weight", (length, width)

    def gates(self) -> tuple[str, ...]:
        return ("up",) if self.architecture in UNGATED else ("gate", "up")

    def norms(self) -> Iterator[Named]:
        after = ("post_attention_norm", "post_ffw_norm") if self.architecture in POST_NORMS else ()
        width = self.number("embedding_length")
        yield from ((f"{name}.weight", (width,)) for name in ("attn_norm", "ffn_norm", *after))
