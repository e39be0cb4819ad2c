"""Models of the sizes that people serve: only planned by the engine, never loaded. Their files are holes."""

from __future__ import annotations

from typing import Any

from tests.certify.parts import Shapes, attention, experts, plain, shared
from tests.certify.writing import Model


def large() -> list[Model]:
    return [
        llama("Llama-3.1-8B", 32, 4096, 14_336, 32),
        llama("Llama-3.3-70B", 80, 8192, 28_672, 64),
        gemma3_27b(),
        qwen3_30b_a3b(),
        gpt_oss_20b(),
        deepseek_v3(),
        qwen3_next_80b(),
    ]


def llama(name: str, layers: int, width: int, inner: int, heads: int) -> Model:
    layer = {**norms(width, "attn_norm", "ffn_norm"), **attention(heads, 8, 128, width), **network(width, inner)}
    top = {**ends(width, 128_256), "output.weight": (width, 128_256)}
    keys = sizes(width, inner, heads, 8)
    return plain("llama", layers, layer, top=top, vocabulary=128_256, called=name, **keys)


def gemma3_27b() -> Model:
    width, inner = 5376, 21_504
    names = ("attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm")
    layer = {**norms(width, *names), **attention(32, 16, 128, width), **network(width, inner)}
    layer |= norms(128, "attn_q_norm", "attn_k_norm")
    keys = {**sizes(width, inner, 32, 16), "attention__sliding_window": 1024}
    return plain("gemma3", 62, layer, top=ends(width, 262_144), vocabulary=262_144, called="Gemma-3-27B", **keys)


def qwen3_30b_a3b() -> Model:
    width, inner = 2048, 768
    layer = {**norms(width, "attn_norm", "ffn_norm"), **attention(32, 4, 128, width), **experts(128, inner, width)}
    layer |= norms(128, "attn_q_norm", "attn_k_norm")
    top = {**ends(width, 151_936), "output.weight": (width, 151_936)}
    keys = {**sizes(width, 6144, 32, 4), **of_experts(128, 8, inner)}
    return plain("qwen3moe", 48, layer, top=top, vocabulary=151_936, called="Qwen3-30B-A3B", **keys)


def gpt_oss_20b() -> Model:
    width = inner = 2880
    layer = {**norms(width, "attn_norm", "post_attention_norm"), **attention(64, 8, 64, width)}
    layer |= {**experts(32, inner, width), "attn_sinks.weight": (64,), "attn_output.bias": (width,)}
    layer |= {"ffn_gate_inp.bias": (32,), "ffn_gate_exps.bias": (inner, 32), "ffn_up_exps.bias": (inner, 32)}
    layer |= {"ffn_down_exps.bias": (width, 32)}
    top = {**ends(width, 201_088), "output.weight": (width, 201_088)}
    keys = {**sizes(width, inner, 64, 8, 64), **of_experts(32, 4, inner), "attention__sliding_window": 128}
    return plain("gpt-oss", 24, layer, top=top, vocabulary=201_088, called="gpt-oss-20b", **keys)


def deepseek_v3() -> Model:
    width, inner, heads, rank, queries, nope, rope = 7168, 2048, 128, 512, 1536, 128, 64
    own: Shapes = {
        **norms(width, "attn_norm", "ffn_norm"),
        **norms(queries, "attn_q_a_norm"),
        **norms(rank, "attn_kv_a_norm"),
        "attn_q_a.weight": (width, queries),
        "attn_q_b.weight": (queries, heads * (nope + rope)),
        "attn_kv_a_mqa.weight": (width, rank + rope),
        "attn_k_b.weight": (nope, rank, heads),
        "attn_v_b.weight": (rank, nope, heads),
        "attn_output.weight": (heads * nope, width),
    }
    sparse = {**own, **experts(256, inner, width), **shared(inner, width), "exp_probs_b.bias": (256,)}
    keys: dict[str, Any] = {
        **sizes(width, 18_432, heads, 1),
        **of_experts(256, 8, inner),
        "attention__key_length": rank + rope,
        "attention__value_length": rank,
        "attention__key_length_mla": nope + rope,
        "attention__value_length_mla": nope,
        "attention__kv_lora_rank": rank,
        "attention__q_lora_rank": queries,
        "rope__dimension_count": rope,
        "leading_dense_block_count": 3,
        "expert_shared_count": 1,
        "expert_weights_scale": 2.5,
        "expert_gating_func": 2,
    }
    dense, top = {**own, **network(width, 18_432)}, {**ends(width, 129_280), "output.weight": (width, 129_280)}
    return plain(
        "deepseek2",
        61,
        lambda index: dense if index < 3 else sparse,
        top=top,
        vocabulary=129_280,
        called="DeepSeek-V3",
        **keys,
    )


def qwen3_next_80b() -> Model:
    width, inner, state, groups, rank = 2048, 512, 128, 16, 32
    channels = state * (2 * groups + rank)
    own = {**norms(width, "attn_norm", "post_attention_norm"), **experts(512, inner, width), **shared(inner, width)}
    own |= {"ffn_gate_inp_shexp.weight": (width,)}
    linear: Shapes = {
        **own,
        "attn_qkv.weight": (width, channels),
        "attn_gate.weight": (width, state * rank),
        "ssm_conv1d.weight": (4, channels),
        "ssm_dt.bias": (rank,),
        "ssm_a": (rank,),
        "ssm_ba.weight": (width, 2 * rank),
        "ssm_norm.weight": (state,),
        "ssm_out.weight": (state * rank, width),
    }
    full = {**own, **attention(16, 2, 256, width), "attn_q.weight": (width, 2 * 16 * 256)}
    full |= norms(256, "attn_q_norm", "attn_k_norm")
    keys = {**sizes(width, 5120, 16, 2, 256), **of_experts(512, 10, inner), "rope__dimension_count": 64}
    keys |= {"ssm__conv_kernel": 4, "ssm__inner_size": state * rank, "ssm__state_size": state}
    keys |= {"ssm__time_step_rank": rank, "ssm__group_count": groups, "expert_shared_feed_forward_length": inner}
    top = {**ends(width, 151_936), "output.weight": (width, 151_936)}
    keys |= {"called": "Qwen3-Next-80B-A3B"}
    return plain("qwen3next", 48, lambda index: full if index % 4 == 3 else linear, top=top, vocabulary=151_936, **keys)


def norms(width: int, *names: str) -> Shapes:
    return {f"{name}.weight": (width,) for name in names}


def network(width: int, inner: int) -> Shapes:
    return {"ffn_gate.weight": (width, inner), "ffn_up.weight": (width, inner), "ffn_down.weight": (inner, width)}


def ends(width: int, vocabulary: int) -> Shapes:
    return {"token_embd.weight": (width, vocabulary), "output_norm.weight": (width,)}


def sizes(width: int, inner: int, heads: int, heads_kv: int, head: int = 128) -> dict[str, Any]:
    return {
        "embedding_length": width,
        "feed_forward_length": inner,
        "attention__head_count": heads,
        "attention__head_count_kv": heads_kv,
        "attention__key_length": head,
        "attention__value_length": head,
        "rope__dimension_count": head,
    }


def of_experts(count: int, used: int, inner: int) -> dict[str, Any]:
    return {"expert_count": count, "expert_used_count": used, "expert_feed_forward_length": inner}
