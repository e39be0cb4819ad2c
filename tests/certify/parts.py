"""What the certified models are put together from: shapes of tensors by name, and the keys of every model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.certify.writing import VOCABULARY, Model, Shape

WIDTH, FEED, HEADS, HEADS_KV, HEAD = 1024, 2816, 8, 2, 128
CONTEXT = 131_072
Shapes = Mapping[str, Shape]

TOP: Shapes = {"token_embd.weight": (WIDTH, VOCABULARY), "output_norm.weight": (WIDTH,)}
OUTPUT: Shapes = {"output.weight": (WIDTH, VOCABULARY)}
NORMS: Shapes = {"attn_norm.weight": (WIDTH,), "ffn_norm.weight": (WIDTH,)}
POST_NORMS: Shapes = {"post_attention_norm.weight": (WIDTH,), "post_ffw_norm.weight": (WIDTH,)}
HEAD_NORMS: Shapes = {"attn_q_norm.weight": (HEAD,), "attn_k_norm.weight": (HEAD,)}
DENSE: Shapes = {
    "ffn_gate.weight": (WIDTH, FEED),
    "ffn_up.weight": (WIDTH, FEED),
    "ffn_down.weight": (FEED, WIDTH),
}


def attention(heads: int = HEADS, heads_kv: int = HEADS_KV, head: int = HEAD, width: int = WIDTH) -> Shapes:
    return {
        "attn_q.weight": (width, heads * head),
        "attn_k.weight": (width, heads_kv * head),
        "attn_v.weight": (width, heads_kv * head),
        "attn_output.weight": (heads * head, width),
    }


def biases(*names: str, shapes: Shapes) -> Shapes:
    return {f"{name}.bias": shapes[f"{name}.weight"][1:] for name in names}


def experts(count: int, inner: int, width: int = WIDTH) -> Shapes:
    return {
        "ffn_gate_inp.weight": (width, count),
        "ffn_gate_exps.weight": (width, inner, count),
        "ffn_up_exps.weight": (width, inner, count),
        "ffn_down_exps.weight": (inner, width, count),
    }


def shared(inner: int, width: int = WIDTH) -> Shapes:
    return {
        "ffn_gate_shexp.weight": (width, inner),
        "ffn_up_shexp.weight": (width, inner),
        "ffn_down_shexp.weight": (inner, width),
    }


def base(layers: int, **more: Any) -> dict[str, Any]:
    """Keys of every model; underscores that stand for a dot are doubled."""
    keys = {
        "block_count": layers,
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "feed_forward_length": FEED,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS_KV,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "rope.dimension_count": HEAD,
        "attention.layer_norm_rms_epsilon": 1e-6,
    }
    given = {key.replace("__", "."): value for key, value in more.items()}
    if "attention.layer_norm_epsilon" in given and "attention.layer_norm_rms_epsilon" not in given:
        del keys["attention.layer_norm_rms_epsilon"]
    return {**keys, **given}


def blocks(layers: int, of: Callable[[int], Shapes] | Shapes) -> dict[str, Shape]:
    found = {index: of(index) if callable(of) else of for index in range(layers)}
    return {f"blk.{index}.{name}": shape for index, shapes in found.items() for name, shape in shapes.items()}


def plain(name: str, layers: int, layer: Callable[[int], Shapes] | Shapes, *, top: Shapes = TOP, **keys: Any) -> Model:
    """A model whose architecture's name is its own up to a space, unless it is `called` otherwise."""
    called = keys.pop("called", name.replace(" ", "-"))
    tokenizer, vocabulary = keys.pop("tokenizer", "llama"), keys.pop("vocabulary", VOCABULARY)
    tensors = {**top, **blocks(layers, layer)}
    return Model(called, name.split(" ", maxsplit=1)[0], base(layers, **keys), tensors, tokenizer, vocabulary)


def mamba(inner: int, state: int, rank: int, conv: int = 4) -> Shapes:
    return {
        "ssm_in.weight": (WIDTH, 2 * inner),
        "ssm_conv1d.weight": (conv, inner),
        "ssm_conv1d.bias": (inner,),
        "ssm_x.weight": (inner, rank + 2 * state),
        "ssm_dt.weight": (rank, inner),
        "ssm_dt.bias": (inner,),
        "ssm_a": (state, inner),
        "ssm_d": (inner,),
        "ssm_out.weight": (inner, WIDTH),
    }


def mamba2(inner: int, state: int, heads: int, groups: int, conv: int = 4) -> Shapes:
    channels = inner + 2 * groups * state
    return {
        "ssm_in.weight": (WIDTH, inner + channels + heads),
        "ssm_conv1d.weight": (conv, channels),
        "ssm_conv1d.bias": (channels,),
        "ssm_dt.bias": (heads,),
        "ssm_a": (1, heads),
        "ssm_d": (1, heads),
        "ssm_norm.weight": (inner // groups, groups),
        "ssm_out.weight": (inner, WIDTH),
    }


def state_keys(inner: int, state: int, rank: int, groups: int | None = None) -> dict[str, Any]:
    keys = {"conv_kernel": 4, "inner_size": inner, "state_size": state, "time_step_rank": rank}
    return {f"ssm__{key}": value for key, value in {**keys, **({"group_count": groups} if groups else {})}.items()}
