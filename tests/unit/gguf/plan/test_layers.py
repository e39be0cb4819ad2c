"""What the layers of each architecture keep, by numbers that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.certify.architectures import all_models
from tests.certify.parts import HEAD, HEADS_KV, WIDTH
from tests.certify.writing import facts_of

from llmkube.gguf.facts import ModelFacts
from llmkube.gguf.plan.buffers import Buffers
from llmkube.gguf.plan.layers import Layer, layers, sliding, state_parts, window
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions, PlanError

MODELS = {model.name: facts_of(model) for model in all_models()}
CELLS = 4096
F16, F32 = 2, 4
ONE_LAYER = 2 * HEADS_KV * HEAD * F16 * CELLS
"""Keys and values of one attending layer of the models here, at 4096 tokens of context."""


def host(name: str, **options: Any) -> Buffers:
    return plan(MODELS[name], EngineOptions(context=CELLS, **options)).host


def varied(name: str, **attention: Any) -> ModelFacts:
    return replace(MODELS[name], attention=replace(MODELS[name].attention, **attention))


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "phi3", "mistral3"])
def test_a_dense_model_keeps_keys_and_values_in_every_layer(name: str) -> None:
    assert (host(name).kv, host(name).kv_swa, host(name).recurrent) == (4 * ONE_LAYER, 0, 0)


@pytest.mark.parametrize(
    ("name", "full", "windows", "size"),
    [
        ("gemma2", 2, 2, 1024),
        ("gemma3", 1, 6, 512),
        ("cohere2", 1, 4, 1024),
        ("olmo2", 1, 4, 1024),
        ("gpt-oss", 1, 2, 128),
    ],
)
def test_a_window_keeps_what_it_sees_and_one_batch_in_steps_of_256(
    name: str, full: int, windows: int, size: int
) -> None:
    kept = -(-(size + 512) // 256) * 256
    found = host(name)

    assert (found.kv, found.kv_swa) == (full * ONE_LAYER, windows * ONE_LAYER * kept // CELLS)
    assert host(name, swa_full=True).kv_swa == windows * ONE_LAYER
    assert host(name, ubatch=128).kv_swa == windows * ONE_LAYER * (-(-(size + 128) // 256) * 256) // CELLS


def test_slots_that_share_one_cache_share_the_context_and_not_the_window() -> None:
    shared, apart = (host("gemma3", parallel=4, kv_unified=unified) for unified in (True, False))

    assert shared.kv == apart.kv == ONE_LAYER
    assert shared.kv_swa == 6 * ONE_LAYER * (4 * 512 + 512) // CELLS
    assert apart.kv_swa == 6 * ONE_LAYER * 4 * 1024 // CELLS


def test_latent_attention_keeps_one_row_of_a_token_and_no_values() -> None:
    rank, turned = 256, 64

    assert host("deepseek2").kv == 3 * (rank + turned) * F16 * CELLS
    assert host("deepseek2", cache_type_k="q8_0").kv == 3 * (rank + turned) * CELLS * 34 // 32


@pytest.mark.parametrize(
    ("name", "recurrent", "attending", "state"),
    [
        ("mamba", 4, 0, 3 * 2048 + 16 * 2048),
        ("mamba2", 4, 0, 3 * (2048 + 2 * 128) + 128 * 2048),
        ("jamba", 3, 1, 3 * 2048 + 16 * 2048),
        ("granitehybrid", 3, 1, 3 * (2048 + 2 * 128) + 128 * 2048),
        ("lfm2", 3, 1, 2 * WIDTH),
        ("falcon-h1", 3, 3, 3 * (1024 + 2 * 128) + 128 * 1024),
        ("qwen3next", 3, 1, 3 * (1024 + 2 * 4 * 128) + 128 * 1024),
    ],
)
def test_recurrent_layers_keep_a_state_of_32_bits_for_each_slot_whatever_the_context(
    name: str, recurrent: int, attending: int, state: int
) -> None:
    assert sum(state_parts(MODELS[name])) == state
    assert (host(name).recurrent, host(name).kv) == (recurrent * state * F32, attending * ONE_LAYER)
    assert host(name, parallel=4, cache_type_k="q8_0").recurrent == 4 * recurrent * state * F32


@pytest.mark.parametrize("name", ["bert", "nomic-bert", "gemma-embedding"])
def test_a_model_that_only_embeds_keeps_nothing(name: str) -> None:
    found = host(name, embeddings=True, parallel=2)

    assert (found.kv, found.kv_swa, found.recurrent) == (0, 0, 0)
    assert found.output == 2 * F32 * (8192 + WIDTH)


def test_layers_that_share_an_earlier_ones_keys_keep_none() -> None:
    assert [layer.caches for layer in layers(varied("llama", shared_kv_layers=2))] == [True, True, False, False]


def test_gemma_4_has_shorter_heads_in_its_windows_and_last_layers_without_a_cache() -> None:
    kept, found = layers(MODELS["gemma4"]), host("gemma4")

    assert [layer.slides for layer in kept] == [True, False] * 3
    assert [layer.key for layer in kept] == [HEADS_KV * 64, HEADS_KV * HEAD] * 2 + [0, 0]
    assert (found.kv, found.kv_swa) == (2 * ONE_LAYER, 2 * (ONE_LAYER // 2) * 1024 // CELLS)


def test_gemma_3n_keeps_twenty_layers_of_which_each_fifth_is_full() -> None:
    one_head, found = 2 * HEAD * F16 * CELLS, host("gemma3n")

    assert [index for index, layer in enumerate(layers(MODELS["gemma3n"])) if layer.caches] == list(range(20))
    assert (found.kv, found.kv_swa) == (4 * one_head, 16 * one_head * 1024 // CELLS)


def test_layers_that_only_draft_further_tokens_keep_nothing() -> None:
    drafting = replace(MODELS["llama"], nextn_layers=1)

    assert layers(drafting)[3] == Layer()
    assert plan(drafting, EngineOptions(context=CELLS)).host.kv == 3 * ONE_LAYER
    assert host("glm4moe").model == MODELS["glm4moe"].weights_bytes - MODELS["glm4moe"].weights.blocks[3].size


def test_sparse_attention_keeps_a_second_smaller_key() -> None:
    sparse = replace(varied("deepseek2", indexer_key_length=128), architecture="deepseek32")

    assert plan(sparse, EngineOptions(context=CELLS)).host.kv == 3 * (256 + 64 + 128) * F16 * CELLS


def test_without_flash_attention_the_widest_layers_values_set_the_rows_of_all() -> None:
    uneven = varied("llama", heads_kv=(2, 2, 2, 8))
    on, off = (plan(uneven, EngineOptions(context=CELLS, flash_attention=flash)).host.kv for flash in ("on", "off"))

    assert on == (6 + 8) * 2 * HEAD * F16 * CELLS
    assert off == ((6 + 8) + 4 * 8) * HEAD * F16 * CELLS


def test_windowed_heads_may_be_of_another_length() -> None:
    short = varied("gemma3", key_length_swa=64, value_length_swa=32)

    assert [layers(short)[index].key for index in (0, 5)] == [HEADS_KV * 64, HEADS_KV * HEAD]
    assert [layers(short)[index].value for index in (0, 5)] == [HEADS_KV * 32, HEADS_KV * HEAD]


@pytest.mark.parametrize(
    ("architecture", "stated", "honoured"),
    [
        ("gemma2", None, 4096),
        ("gemma3", None, 0),
        ("gemma3", 512, 512),
        ("llama4", None, 8192),
        ("llama4", 0, 0),
        ("llama4", 4096, 8192),
        ("smallthinker", None, 0),
        ("smallthinker", 512, 4096),
        ("exaone4", 512, 0),
        ("phi3", 2047, 0),
        ("llama", 4096, 0),
        ("lfm2", 512, 512),
    ],
)
def test_a_window_is_honoured_only_where_the_engine_does(architecture: str, stated: int | None, honoured: int) -> None:
    assert window(replace(varied("llama", sliding_window=stated), architecture=architecture)) == honoured


@pytest.mark.parametrize(
    ("architecture", "pattern", "slides"),
    [
        ("gemma2", None, [True, False, True, False]),
        ("gemma3", None, [True, True, True, True]),
        ("gemma3", 2, [True, False, True, False]),
        ("gemma3", (False, True, True, False), [False, True, True, False]),
        ("gemma3", 1, [False, False, False, False]),
        ("llama4", None, [True, True, True, False]),
        ("cohere2moe", None, [False, True, True, True]),
        ("gemma4", None, [False, False, False, False]),
        ("gemma4", (True, True, True, False), [True, True, True, False]),
        ("llama", None, [False, False, False, False]),
    ],
)
def test_which_layers_slide_is_the_headers_word_or_else_the_engines(
    architecture: str, pattern: int | tuple[bool, ...] | None, slides: list[bool]
) -> None:
    model = replace(varied("llama", sliding_window=128, pattern=pattern), architecture=architecture)

    assert list(sliding(model)) == slides


def test_quantised_keys_need_heads_that_fill_whole_blocks() -> None:
    odd = varied("llama", heads_kv=(1,) * 4, key_length=80, value_length=80)

    with pytest.raises(PlanError, match="cache_type_k: expected rows of whole blocks of 32 values for q8_0, found 80"):
        plan(odd, EngineOptions(context=CELLS, cache_type_k="q8_0"))
