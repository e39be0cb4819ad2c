"""Models that keep a state instead of keys and values, or beside them."""

from __future__ import annotations

from tests.certify.parts import (
    DENSE,
    FEED,
    HEAD,
    HEAD_NORMS,
    HEADS,
    HEADS_KV,
    NORMS,
    OUTPUT,
    TOP,
    WIDTH,
    Shapes,
    attention,
    experts,
    mamba,
    mamba2,
    plain,
    shared,
    state_keys,
)
from tests.certify.writing import VOCABULARY, Model


def recurrent() -> list[Model]:
    norm: Shapes = {"attn_norm.weight": (WIDTH,)}
    jamba_norms: Shapes = {
        "ssm_dt_norm.weight": (64,),
        "ssm_b_norm.weight": (16,),
        "ssm_c_norm.weight": (16,),
    }
    wide = {**attention(), **NORMS, **DENSE}
    short: Shapes = {
        "shortconv.conv.weight": (3, WIDTH),
        "shortconv.in_proj.weight": (WIDTH, 3 * WIDTH),
        "shortconv.out_proj.weight": (WIDTH, WIDTH),
    }
    alone = {"attention__head_count": 0, "attention__head_count_kv": 0, "feed_forward_length": 0}
    heads = {"attention__head_count_kv": [0, 0, HEADS_KV, 0]}
    lfm_top: Shapes = {"token_embd.weight": (WIDTH, VOCABULARY), "token_embd_norm.weight": (WIDTH,)}
    jamba = {**mamba(2048, 16, 64), **jamba_norms, **NORMS, **DENSE}
    granite = {**mamba2(2048, 128, 32, 1), **NORMS, **DENSE}
    lfm2 = {**short, **NORMS, **DENSE}
    return [
        plain("mamba", 4, {**norm, **mamba(2048, 16, 64)}, **{**alone, **state_keys(2048, 16, 64)}),
        plain("mamba2", 4, {**norm, **mamba2(2048, 128, 32, 1)}, **{**alone, **state_keys(2048, 128, 32, 1)}),
        plain("jamba", 4, lambda index: wide if index == 2 else jamba, **{**heads, **state_keys(2048, 16, 64)}),
        plain(
            "granitehybrid",
            4,
            lambda index: wide if index == 2 else granite,
            **{**heads, **state_keys(2048, 128, 32, 1)},
        ),
        plain(
            "lfm2",
            4,
            lambda index: {**wide, **HEAD_NORMS} if index == 2 else lfm2,
            top=lfm_top,
            shortconv__l_cache=3,
            **heads,
        ),
        falcon_h1(),
        qwen3next(),
        qwen35(),
        nemotron_h(),
        lfm2moe(short, wide, lfm_top),
    ]


def lfm2moe(short: Shapes, wide: Shapes, top: Shapes) -> Model:
    """Short convolutions and experts."""
    network = {**experts(16, 384), "exp_probs_b.bias": (16,)}
    dense = {**short, **NORMS, **DENSE}
    sparse, full = {**short, **NORMS, **network}, {**attention(), **HEAD_NORMS, **NORMS, **network}
    return plain(
        "lfm2moe",
        4,
        lambda index: (dense, sparse, full, sparse)[index],
        top=top,
        shortconv__l_cache=3,
        attention__head_count_kv=[0, 0, HEADS_KV, 0],
        leading_dense_block_count=1,
        expert_count=16,
        expert_used_count=4,
        expert_feed_forward_length=384,
        expert_gating_func=2,
    )


def nemotron_h() -> Model:
    """A layer is a state space, an attention or a network, and nothing else."""
    norm: Shapes = {"attn_norm.weight": (WIDTH,)}
    state, full = {**norm, **mamba2(2048, 128, 32, 1)}, {**norm, **attention()}
    network: Shapes = {**norm, "ffn_up.weight": (WIDTH, FEED), "ffn_down.weight": (FEED, WIDTH)}
    return plain(
        "nemotron_h",
        5,
        lambda index: (state, network, full, network, state)[index],
        top={**TOP, **OUTPUT},
        attention__head_count_kv=[0, 0, HEADS_KV, 0, 0],
        feed_forward_length=[0, FEED, 0, FEED, 0],
        attention__layer_norm_epsilon=1e-5,
        attention__layer_norm_rms_epsilon=1e-5,
        **state_keys(2048, 128, 32, 1),
    )


def falcon_h1() -> Model:
    both = {**mamba2(1024, 128, 16, 1), **attention(), **NORMS, **DENSE}
    both = {name.replace("ffn_norm.weight", "ffn_norm"): shape for name, shape in both.items()}
    return plain("falcon-h1", 3, both, top={**TOP, **OUTPUT}, **state_keys(1024, 128, 16, 1))


def qwen3next() -> Model:
    state, groups, rank = 128, 4, 8
    inner, key = state * rank, state * groups
    top: Shapes = {"attn_norm.weight": (WIDTH,), "post_attention_norm.weight": (WIDTH,)}
    network = {**experts(16, 256), **shared(256), "ffn_gate_inp_shexp.weight": (WIDTH,)}
    linear: Shapes = {
        "attn_qkv.weight": (WIDTH, 2 * key + inner),
        "attn_gate.weight": (WIDTH, inner),
        "ssm_conv1d.weight": (4, 2 * key + inner),
        "ssm_dt.bias": (rank,),
        "ssm_a": (rank,),
        "ssm_ba.weight": (WIDTH, 2 * rank),
        "ssm_norm.weight": (state,),
        "ssm_out.weight": (inner, WIDTH),
    }
    full = {**attention(), "attn_q.weight": (WIDTH, 2 * HEADS * HEAD), **HEAD_NORMS}
    keys = {"expert_count": 16, "expert_used_count": 4, "expert_feed_forward_length": 256}
    keys |= {"expert_shared_feed_forward_length": 256, **state_keys(inner, state, rank, groups)}
    return plain("qwen3next", 4, lambda index: {**top, **network, **(full if index == 3 else linear)}, **keys)


def qwen35() -> Model:
    """A gated delta net with a dense network."""
    state, groups, rank = 128, 4, 8
    inner, key = state * rank, state * groups
    top: Shapes = {"attn_norm.weight": (WIDTH,), "post_attention_norm.weight": (WIDTH,)}
    linear: Shapes = {
        "attn_qkv.weight": (WIDTH, 2 * key + inner),
        "attn_gate.weight": (WIDTH, inner),
        "ssm_conv1d.weight": (4, 2 * key + inner),
        "ssm_dt.bias": (rank,),
        "ssm_a": (rank,),
        "ssm_beta.weight": (WIDTH, rank),
        "ssm_alpha.weight": (WIDTH, rank),
        "ssm_norm.weight": (state,),
        "ssm_out.weight": (inner, WIDTH),
    }
    full = {**attention(), "attn_q.weight": (WIDTH, 2 * HEADS * HEAD), **HEAD_NORMS}
    keys = {"rope__dimension_sections": [11, 11, 10, 0], **state_keys(inner, state, rank, groups)}
    return plain("qwen35", 4, lambda index: {**top, **DENSE, **(full if index == 3 else linear)}, **keys)
