"""A header that nobody sane would write still gets a verdict, or one error that says what is wrong with it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmkube.cli.fit.gpus import named
from llmkube.cli.fit.verdict import Machine, verdict
from llmkube.gguf.errors import GGUFError
from llmkube.gguf.facts import facts
from llmkube.gguf.plan.options import EngineOptions, PlanError
from llmkube.gguf.reader import Header, TensorInfo
from llmkube.gguf.values import ArrayStub

ARCHITECTURES = [
    "llama",
    "qwen3moe",
    "gemma3",
    "deepseek2",
    "bert",
    "mamba",
    "lfm2",
    "granitehybrid",
    "phi3",
    "qwen3next",
    "gpt-oss",
    "clip",
    "rwkv6",
    "unheard-of",
]
KEYS = [
    "embedding_length",
    "feed_forward_length",
    "context_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.sliding_window",
    "attention.kv_lora_rank",
    "expert_count",
    "expert_used_count",
    "expert_feed_forward_length",
    "ssm.inner_size",
    "ssm.state_size",
    "ssm.conv_kernel",
    "ssm.group_count",
    "ssm.time_step_rank",
    "shortconv.l_cache",
    "rope.dimension_count",
    "attention.shared_kv_layers",
    "nextn_predict_layers",
]
NAMES = [
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_qkv",
    "attn_output",
    "ffn_down",
    "ffn_up",
    "ffn_gate",
    "ffn_down_exps",
    "ssm_in",
    "attn_norm",
    "unheard_of",
]
MOST_LAYERS = 6
NUMBERS = st.sampled_from((0, 1, 2, 3, 7, 8, 32, 64, 128, 255, 1000, 4096, 151_936, 2**31 - 1, 2**32 - 1))
SHAPES = st.lists(NUMBERS, max_size=4).map(tuple)
TYPES = st.sampled_from(("F32", "F16", "Q4_K", "Q8_0"))


@st.composite
def headers(draw: st.DrawFn) -> Header:
    architecture = draw(st.sampled_from(ARCHITECTURES))
    layers = draw(st.integers(0, MOST_LAYERS))
    numbers = draw(st.dictionaries(st.sampled_from(KEYS), NUMBERS))
    metadata: dict[str, object] = {f"{architecture}.{key}": value for key, value in numbers.items()}
    metadata |= {"general.architecture": architecture, f"{architecture}.block_count": layers}
    metadata["tokenizer.ggml.tokens"] = ArrayStub(draw(NUMBERS), "string")
    names = [f"blk.{layer}.{name}.weight" for layer in range(layers) for name in draw(st.sets(st.sampled_from(NAMES)))]
    names += draw(st.sets(st.sampled_from(("token_embd.weight", "output.weight", "output_norm.weight"))))
    tensors = tuple(TensorInfo(name, draw(SHAPES), draw(TYPES), 0, draw(NUMBERS)) for name in names)
    return Header(3, metadata, tensors, 0, 0)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(headers(), st.sampled_from((1, 512, 2**24)), st.sampled_from((1, 3, 256)), st.sampled_from(("f16", "q8_0")))
def test_every_header_gets_a_verdict_or_an_error_that_is_meant(
    header: Header, context: int, parallel: int, cache: str
) -> None:
    options = EngineOptions(context=context, parallel=parallel, gpus=1, cache_type_k=cache)
    try:
        found = verdict(facts(header), options, Machine(named("T4"), 1))
    except (GGUFError, PlanError):
        return
    assert all(device.missing >= 0 for device in found.devices)
    assert not (found.fits and found.remedies)


@pytest.mark.timeout(10)
def test_heads_of_no_length_are_no_reason_to_plan_for_ever() -> None:
    numbers = {"block_count": 1, "embedding_length": 4, "attention.head_count": 8, "attention.head_count_kv": 8}
    metadata = {f"llama.{key}": value for key, value in numbers.items()}
    block = tuple(TensorInfo(f"blk.0.attn_{name}.weight", (4, 4), "F16", 0, 32) for name in "qkv")
    header = Header(3, {"general.architecture": "llama", **metadata}, block, 0, 0)

    found = verdict(facts(header), EngineOptions(context=512, cache_type_k="q8_0"), Machine(host=2**33))

    assert found.devices[0].buffers.kv == 0
