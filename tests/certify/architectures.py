"""The models that are certified: one small one of each architecture, with what makes its memory different."""

from __future__ import annotations

from typing import Any

from tests.certify.parts import (
    DENSE,
    FEED,
    HEAD,
    HEAD_NORMS,
    HEADS,
    HEADS_KV,
    NORMS,
    OUTPUT,
    POST_NORMS,
    TOP,
    WIDTH,
    Shapes,
    attention,
    biases,
    plain,
)
from tests.certify.recurrent import recurrent
from tests.certify.sliding import sliding
from tests.certify.sparse import latent, sparse
from tests.certify.writing import VOCABULARY, Model


def dense() -> list[Model]:
    tied_biases = {**attention(), **biases("attn_q", "attn_k", "attn_v", shapes=attention())}
    fused = {"attn_qkv.weight": (WIDTH, (HEADS + 2 * HEADS_KV) * HEAD), "attn_output.weight": (WIDTH, WIDTH)}
    joined = {"ffn_up.weight": (WIDTH, 2 * FEED), "ffn_down.weight": (FEED, WIDTH)}
    return [
        plain("llama", 4, {**NORMS, **attention(), **DENSE}, top={**TOP, **OUTPUT}),
        plain("qwen2", 4, {**NORMS, **tied_biases, **DENSE}),
        plain("qwen3", 4, {**NORMS, **attention(), **HEAD_NORMS, **DENSE}),
        plain(
            "phi3", 4, {**NORMS, **fused, **joined}, top={**TOP, **OUTPUT}, rope__scaling__original_context_length=4096
        ),
        plain("mistral3", 4, {**NORMS, **attention(), **DENSE}, top={**TOP, **OUTPUT}),
        plain("gemma", 4, {**NORMS, **attention(), **DENSE}),
        plain(
            "granite", 4, {**NORMS, **attention(), **DENSE}, logit_scale=8.0, residual_scale=0.2, embedding_scale=12.0
        ),
        plain(
            "command-r", 4, {"attn_norm.weight": (WIDTH,), **attention(), **DENSE}, attention__layer_norm_epsilon=1e-5
        ),
        starcoder2(),
    ]


def starcoder2() -> Model:
    """A layer norm, biases everywhere, and no gate."""
    up: Shapes = {"ffn_up.weight": (WIDTH, 4096), "ffn_down.weight": (4096, WIDTH)}
    scaled = {f"{name.removesuffix('.weight')}.bias": shape for name, shape in NORMS.items()}
    names = ("attn_q", "attn_k", "attn_v", "attn_output")
    layer = {**NORMS, **scaled, **attention(), **biases(*names, shapes=attention()), **up}
    layer |= biases("ffn_up", "ffn_down", shapes=up)
    top = {**TOP, "output_norm.bias": (WIDTH,)}
    return plain("starcoder2", 4, layer, top=top, attention__layer_norm_epsilon=1e-5, feed_forward_length=4096)


def embedding() -> list[Model]:
    norms: Shapes = {
        "attn_output_norm.weight": (WIDTH,),
        "attn_output_norm.bias": (WIDTH,),
        "layer_output_norm.weight": (WIDTH,),
        "layer_output_norm.bias": (WIDTH,),
    }
    top: Shapes = {
        "token_embd.weight": (WIDTH, VOCABULARY),
        "token_types.weight": (WIDTH, 2),
        "token_embd_norm.weight": (WIDTH,),
        "token_embd_norm.bias": (WIDTH,),
    }
    whole = attention(HEADS, HEADS, HEAD)
    up: Shapes = {"ffn_up.weight": (WIDTH, 4096), "ffn_down.weight": (4096, WIDTH)}
    up_biases = biases("ffn_up", "ffn_down", shapes=up)
    own_biases = biases("attn_q", "attn_k", "attn_v", "attn_output", shapes=whole)
    fused: Shapes = {"attn_qkv.weight": (WIDTH, 3 * WIDTH), "attn_output.weight": (WIDTH, WIDTH)}
    keys: dict[str, Any] = {
        "attention__head_count_kv": HEADS,
        "attention__causal": False,
        "attention__layer_norm_epsilon": 1e-12,
        "pooling_type": 1,
        "tokenizer": "bert",
        "feed_forward_length": 4096,
        "context_length": 512,
    }
    modern: Shapes = {"attn_qkv.weight": (WIDTH, 3 * WIDTH), "attn_output.weight": (WIDTH, WIDTH)}
    modern |= {"ffn_up.weight": (WIDTH, 2 * FEED), "ffn_down.weight": (FEED, WIDTH), **NORMS}
    modern_top: Shapes = {**TOP, "token_embd_norm.weight": (WIDTH,)}
    modern_keys = {**keys, "feed_forward_length": FEED, "context_length": 8192, "attention__sliding_window": 128}
    positions: Shapes = {"position_embd.weight": (WIDTH, 512)}
    gemma = {**NORMS, **attention(), **POST_NORMS, **DENSE, **HEAD_NORMS}
    score: Shapes = {"cls.weight": (WIDTH, WIDTH), "cls.bias": (WIDTH,), "cls.output.weight": (WIDTH, 1)}
    ranks: dict[str, Any] = {**keys, "pooling_type": 4}
    bert: Shapes = {**whole, **own_biases, **norms, **up, **up_biases}
    decoder: Shapes = {**NORMS, **attention(), **HEAD_NORMS, **DENSE}
    asks: Shapes = {**TOP, "cls.output.weight": (WIDTH, 2)}
    answers = {"pooling_type": 4, "classifier__output_labels": ["yes", "no"]}
    return [
        plain("bert", 3, bert, top={**top, **positions}, **keys),
        plain("bert reranker", 3, bert, top={**top, **positions, **score, "cls.output.bias": (1,)}, **ranks),
        plain("nomic-bert", 3, {**fused, **norms, **up, "ffn_gate.weight": (WIDTH, 4096)}, top=top, **keys),
        plain("modern-bert", 4, modern, top=modern_top, **modern_keys),
        plain("gemma-embedding", 7, gemma, attention__sliding_window=512, pooling_type=1),
        plain("qwen3 embedding", 3, decoder, pooling_type=3),
        plain("qwen3 reranker", 3, decoder, top=asks, **answers),
    ]


def all_models() -> list[Model]:
    return [*dense(), *sliding(), *sparse(), *latent(), *recurrent(), *embedding()]
