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
    experts,
    mamba,
    mamba2,
    plain,
    shared,
    state_keys,
)
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


def sliding() -> list[Model]:
    gemma = {**NORMS, **attention(), **POST_NORMS, **DENSE}
    olmo = {
        **attention(),
        "attn_q_norm.weight": (HEADS * HEAD,),
        "attn_k_norm.weight": (HEADS_KV * HEAD,),
        **POST_NORMS,
        **DENSE,
    }
    command = {**attention(), **DENSE, "attn_norm.weight": (WIDTH,)}
    return [
        plain("gemma2", 4, gemma, attention__sliding_window=1024),
        plain("gemma3", 7, {**gemma, **HEAD_NORMS}, attention__sliding_window=512),
        plain(
            "cohere2", 5, command, attention__sliding_window=1024, logit_scale=1.0, attention__layer_norm_epsilon=1e-5
        ),
        plain("olmo2", 5, olmo, top={**TOP, **OUTPUT}, attention__sliding_window=1024),
    ]


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
    return [
        plain("bert", 3, {**whole, **own_biases, **norms, **up, **up_biases}, top={**top, **positions}, **keys),
        plain("nomic-bert", 3, {**fused, **norms, **up, "ffn_gate.weight": (WIDTH, 4096)}, top=top, **keys),
        plain("modern-bert", 4, modern, top=modern_top, **modern_keys),
        plain("gemma-embedding", 7, gemma, attention__sliding_window=512, pooling_type=1),
        plain("qwen3 embedding", 3, {**NORMS, **attention(), **HEAD_NORMS, **DENSE}, pooling_type=3),
    ]


def all_models() -> list[Model]:
    return [*dense(), *sliding(), *sparse(), *latent(), *recurrent(), *embedding()]
