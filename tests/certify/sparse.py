"""Models of which each token uses some experts."""

from __future__ import annotations

from typing import Any

from tests.certify.parts import (
    DENSE,
    HEAD_NORMS,
    HEADS,
    NORMS,
    OUTPUT,
    TOP,
    WIDTH,
    Shapes,
    attention,
    experts,
    plain,
    shared,
)
from tests.certify.writing import Model


def sparse() -> list[Model]:
    own = {**NORMS, **attention()}
    oss = {**experts(8, 768), "attn_sinks.weight": (HEADS,), "post_attention_norm.weight": (WIDTH,)}
    oss_biases = {
        "attn_output.bias": (WIDTH,),
        "ffn_gate_inp.bias": (8,),
        "ffn_gate_exps.bias": (768, 8),
        "ffn_up_exps.bias": (768, 8),
        "ffn_down_exps.bias": (WIDTH, 8),
    }
    return [
        plain(
            "llama experts",
            2,
            {**own, **experts(8, 1408)},
            expert_count=8,
            expert_used_count=2,
            feed_forward_length=1408,
        ),
        plain(
            "qwen3moe",
            3,
            {**own, **HEAD_NORMS, **experts(16, 384)},
            expert_count=16,
            expert_used_count=8,
            expert_feed_forward_length=384,
        ),
        plain(
            "gpt-oss",
            3,
            {"attn_norm.weight": (WIDTH,), **attention(), **oss, **oss_biases},
            top={**TOP, **OUTPUT},
            attention__sliding_window=128,
            expert_count=8,
            expert_used_count=4,
            expert_feed_forward_length=768,
        ),
        plain(
            "qwen2moe",
            3,
            {**own, **experts(16, 384), **shared(768), "ffn_gate_inp_shexp.weight": (WIDTH,)},
            top={**TOP, **OUTPUT},
            expert_count=16,
            expert_used_count=4,
            expert_feed_forward_length=384,
            expert_shared_feed_forward_length=768,
        ),
        plain(
            "llama4",
            4,
            lambda index: {**own, **(DENSE if index % 2 == 0 else {**experts(8, 768), **shared(768)})},
            expert_count=8,
            expert_used_count=1,
            expert_feed_forward_length=768,
            interleave_moe_layer_step=2,
        ),
        glm4moe(),
    ]


def glm4moe() -> Model:
    """Its last layer only drafts further tokens: it is in the file, and not loaded."""
    own: Shapes = {"attn_norm.weight": (WIDTH,), "post_attention_norm.weight": (WIDTH,), **attention()}
    sparse = {**own, **experts(16, 384), **shared(384), "exp_probs_b.bias": (16,)}
    drafts = {**sparse, "nextn.eh_proj.weight": (2 * WIDTH, WIDTH), "nextn.enorm.weight": (WIDTH,)}
    drafts |= {"nextn.hnorm.weight": (WIDTH,)}
    return plain(
        "glm4moe",
        4,
        lambda index: ({**own, **DENSE}, sparse, sparse, drafts)[index],
        top={**TOP, **OUTPUT},
        expert_count=16,
        expert_used_count=4,
        expert_shared_count=1,
        expert_feed_forward_length=384,
        leading_dense_block_count=1,
        nextn_predict_layers=1,
    )


def latent() -> list[Model]:
    """Keys and values of a token compressed into one row."""
    rank, rope, nope, value, heads = 256, 64, 128, 128, 8
    projected = {
        "attn_norm.weight": (WIDTH,),
        "ffn_norm.weight": (WIDTH,),
        "attn_q_a.weight": (WIDTH, 384),
        "attn_q_a_norm.weight": (384,),
        "attn_q_b.weight": (384, heads * (nope + rope)),
        "attn_kv_a_mqa.weight": (WIDTH, rank + rope),
        "attn_kv_a_norm.weight": (rank,),
        "attn_k_b.weight": (nope, rank, heads),
        "attn_v_b.weight": (rank, value, heads),
        "attn_output.weight": (heads * value, WIDTH),
    }
    keys: dict[str, Any] = {
        "attention__head_count_kv": 1,
        "attention__key_length": rank + rope,
        "attention__value_length": rank,
        "attention__key_length_mla": nope + rope,
        "attention__value_length_mla": value,
        "attention__kv_lora_rank": rank,
        "attention__q_lora_rank": 384,
        "rope__dimension_count": rope,
        "leading_dense_block_count": 1,
        "expert_count": 16,
        "expert_used_count": 6,
        "expert_shared_count": 1,
        "expert_feed_forward_length": 384,
        "expert_weights_scale": 1.0,
    }

    def layer(index: int) -> Shapes:
        return {**projected, **(DENSE if index == 0 else {**experts(16, 384), **shared(384)})}

    return [plain("deepseek2", 3, layer, **keys)]
