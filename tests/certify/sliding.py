"""Models of which some layers see only the last tokens."""

from __future__ import annotations

from tests.certify.parts import (
    DENSE,
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
    plain,
)
from tests.certify.writing import VOCABULARY, Model


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
        gemma4(),
        gemma3n(),
        plain(
            "cohere2", 5, command, attention__sliding_window=1024, logit_scale=1.0, attention__layer_norm_epsilon=1e-5
        ),
        plain("olmo2", 5, olmo, top={**TOP, **OUTPUT}, attention__sliding_window=1024),
    ]


PER_LAYER = 256
"""Numbers that Gemma 3n and 4 know of a token for one layer."""


def gemma4() -> Model:
    """Heads of two lengths, layers that share an earlier one's cache, and a vocabulary for each layer."""
    layers, short, pattern = 6, 64, [True, False, True, False, True, False]
    own: Shapes = {
        **NORMS,
        **POST_NORMS,
        **DENSE,
        "inp_gate.weight": (WIDTH, PER_LAYER),
        "proj.weight": (PER_LAYER, WIDTH),
        "post_norm.weight": (WIDTH,),
    }

    def layer(index: int) -> Shapes:
        head = short if pattern[index] else HEAD
        norms: Shapes = {"attn_q_norm.weight": (head,), "attn_k_norm.weight": (head,)}
        return {**own, **attention(head=head), **norms}

    top = {**TOP, "rope_freqs.weight": (HEAD // 2,), "per_layer_token_embd.weight": (PER_LAYER * layers, VOCABULARY)}
    top |= {"per_layer_model_proj.weight": (WIDTH, PER_LAYER * layers), "per_layer_proj_norm.weight": (PER_LAYER,)}
    return plain(
        "gemma4",
        layers,
        layer,
        top=top,
        attention__sliding_window=512,
        attention__sliding_window_pattern=pattern,
        attention__shared_kv_layers=2,
        attention__key_length_swa=short,
        attention__value_length_swa=short,
        rope__dimension_count_swa=short,
        embedding_length_per_layer_input=PER_LAYER,
    )


def gemma3n() -> Model:
    """Four hidden states, layers from the 20th on without a cache of their own, and a vocabulary for each layer."""
    layers, rank, width, feed = 22, 64, 512, 1024
    layer: Shapes = {
        "attn_norm.weight": (width,),
        "ffn_norm.weight": (width,),
        "post_attention_norm.weight": (width,),
        "post_ffw_norm.weight": (width,),
        **attention(4, 1, HEAD, width),
        **HEAD_NORMS,
        "ffn_gate.weight": (width, feed),
        "ffn_up.weight": (width, feed),
        "ffn_down.weight": (feed, width),
        "inp_gate.weight": (width, PER_LAYER),
        "proj.weight": (PER_LAYER, width),
        "post_norm.weight": (width,),
        "altup_correct_coef.weight": (4, 4),
        "altup_correct_scale.weight": (width,),
        "altup_predict_coef.weight": (4, 16),
        "altup_router.weight": (width, 4),
        "altup_router_norm.weight": (width,),
        "laurel_l.weight": (width, rank),
        "laurel_r.weight": (rank, width),
        "laurel_post_norm.weight": (width,),
    }
    top: Shapes = {
        "token_embd.weight": (width, VOCABULARY),
        "output_norm.weight": (width,),
        "altup_proj.weight": (width, width, 3),
        "altup_unembd_proj.weight": (width, width, 3),
        "per_layer_token_embd.weight": (PER_LAYER * layers, VOCABULARY),
        "per_layer_model_proj.weight": (width, PER_LAYER * layers),
        "per_layer_proj_norm.weight": (PER_LAYER,),
    }
    heads = {"attention__head_count": 4, "attention__head_count_kv": 1}
    sizes = {"embedding_length": width, "feed_forward_length": feed, "embedding_length_per_layer_input": PER_LAYER}
    return plain("gemma3n", layers, layer, top=top, attention__sliding_window=512, **heads, **sizes)
