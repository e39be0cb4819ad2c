"""The memory plan against what llama.cpp logged for real models: to the hundredth of a MiB, compute within 1 %."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmkube.gguf.facts import ModelFacts, facts
from llmkube.gguf.memory import bytes_of, estimate, kv_bytes_per_token, sliding_layers
from llmkube.gguf.reader import read_file

MIB = 1024 * 1024
Tiny = Callable[..., ModelFacts]
GEMMA3_270M: dict[str, Any] = {
    "block_count": 18,
    "embedding_length": 640,
    "feed_forward_length": 2048,
    "context_length": 32_768,
    "attention.head_count": 4,
    "attention.head_count_kv": 1,
    "attention.key_length": 256,
    "attention.value_length": 256,
    "attention.sliding_window": 512,
}


def mib(count: int) -> float:
    return round(count / MIB, 2)


@pytest.fixture
def smollm2_facts(smollm2: Path) -> ModelFacts:
    return facts(read_file(smollm2))


@pytest.fixture
def gemma3(tiny: Tiny) -> ModelFacts:
    """Gemma-3-270m by the numbers of its header."""
    return tiny(architecture="gemma3", extra=GEMMA3_270M)


@pytest.mark.parametrize(
    ("context", "cache_type", "kv", "compute"),
    [
        (2048, "f16", 45.0, 16.64),
        (8192, "f16", 180.0, 22.64),
        (32_768, "f16", 720.0, 46.64),
        (2048, "q8_0", 23.91, 16.64),
        (8192, "q8_0", 95.62, 22.64),
        (32_768, "q8_0", 382.5, 46.64),
    ],
)
def test_smollm2_needs_what_the_engine_logged(
    smollm2_facts: ModelFacts, context: int, cache_type: str, kv: float, compute: float
) -> None:
    planned = estimate(smollm2_facts, context=context, cache_type_k=cache_type, cache_type_v=cache_type)

    assert (mib(planned.weights), mib(planned.kv), mib(planned.output)) == (92.1, kv, 0.19)
    assert mib(planned.compute) == pytest.approx(compute, rel=0.01)
    assert planned.total == planned.weights + planned.kv + planned.compute + planned.output


@pytest.mark.parametrize(
    ("context", "cache_type", "kv", "compute"),
    [
        (2048, "f16", 6 + 15.0, 21.28),
        (8192, "f16", 24 + 15.0, 27.28),
        (32_768, "f16", 96 + 15.0, 51.28),
        (2048, "q8_0", 3.19 + 7.97, 21.28),
        (8192, "q8_0", 12.75 + 7.97, 27.28),
        (32_768, "q8_0", 51.0 + 7.97, 51.28),
    ],
)
def test_gemma3_with_its_sliding_window_needs_what_the_engine_logged(
    gemma3: ModelFacts, context: int, cache_type: str, kv: float, compute: float
) -> None:
    planned = estimate(gemma3, context=context, cache_type_k=cache_type, cache_type_v=cache_type)

    assert mib(planned.kv) == pytest.approx(kv, abs=0.011)  # the log rounds two caches, and we their sum
    assert mib(planned.compute) == pytest.approx(compute, rel=0.01)


def test_slots_share_the_context_in_steps_of_256_cells(smollm2_facts: ModelFacts) -> None:
    one, four, odd = (estimate(smollm2_facts, context=4096, parallel=slots) for slots in (1, 4, 3))

    assert one.kv == four.kv
    assert odd.kv == one.kv * 3 * 1536 // 4096
    assert four.output == 4 * one.output


def test_every_slot_has_a_window_of_its_own(gemma3: ModelFacts) -> None:
    one, two = (estimate(gemma3, context=slots * 8192, parallel=slots) for slots in (1, 2))

    assert two.kv == 2 * one.kv


@pytest.mark.parametrize(
    ("architecture", "layers", "use", "logged"),
    [
        ("gemma3", 7, (8192, 1, 512), 8.0 + 6.0),
        ("gemma3", 7, (8192, 2, 512), 8.0 + 12.0),
        ("gemma3", 7, (9000, 3, 256), 9.0 + 13.5),
        ("llama", 4, (8192, 1, 512), 32.0),
        ("llama", 4, (9000, 3, 256), 36.0),
    ],
)
def test_a_window_of_512_takes_what_the_engine_logged_where_it_honours_it(
    tiny: Tiny, architecture: str, layers: int, use: tuple[int, int, int], logged: float
) -> None:
    heads = {"attention.head_count": 4, "attention.head_count_kv": 2, "attention.sliding_window": 512}
    model = tiny(architecture=architecture, extra={**heads, "block_count": layers, "embedding_length": 512})

    assert estimate(model, context=use[0], parallel=use[1], ubatch=use[2]).kv == logged * MIB


def test_a_window_wider_than_the_context_saves_nothing(gemma3: ModelFacts) -> None:
    narrow = replace(gemma3, sliding_window=None)

    assert estimate(gemma3, context=512).kv == estimate(narrow, context=512).kv


def test_key_value_heads_that_differ_by_layer_are_each_counted(tiny: Tiny) -> None:
    by_layer = tiny(extra={"attention.head_count_kv": [2, 0, 1, 0]})

    assert estimate(by_layer, context=256).kv == 3 * 256 * (8 + 8) * 2
    assert kv_bytes_per_token(by_layer) == 3 * (8 + 8) * 2


@pytest.mark.parametrize(
    ("architecture", "pattern", "slides"),
    [
        ("gemma2", None, [True, False, True, False]),
        ("gemma3", None, [True, True, True, True]),
        ("gemma3", 2, [True, False, True, False]),
        ("gemma3", [False, True, True, False], [False, True, True, False]),
        ("llama4", None, [True, True, True, False]),
        ("llama", None, [False, False, False, False]),
        ("gemma3", 1, [False, False, False, False]),
    ],
)
def test_which_layers_slide_is_the_headers_word_or_else_the_engines(
    tiny: Tiny, architecture: str, pattern: int | list[bool] | None, slides: list[bool]
) -> None:
    extra = {"attention.sliding_window": 128, "attention.sliding_window_pattern": pattern}

    assert list(sliding_layers(tiny(architecture=architecture, extra=extra))) == slides


def test_tied_output_is_held_twice_when_layers_are_on_the_gpu(smollm2_facts: ModelFacts) -> None:
    on_cpu, on_gpu = (estimate(smollm2_facts, context=2048, gpu_layers=layers) for layers in (0, 99))

    assert on_gpu.weights - on_cpu.weights == 49_152 * 576 * 34 // 32  # its token embedding is Q8_0


@pytest.mark.parametrize(
    ("embedding", "feed_forward", "use", "logged"),
    [
        (1024, 2816, (4096, 1, 512), 30.52),
        (1024, 2816, (4096, 4, 512), 27.52),
        (1024, 2816, (8192, 2, 128), 7.63),
        (2048, 5632, (4096, 1, 512), 57.02),
        (2048, 5632, (8192, 2, 128), 14.25),
        (1536, 8960, (4096, 4, 512), 68.52),
        (1024, 512, (4096, 1, 512), 18.02),
    ],
)
def test_working_memory_of_dense_models_of_any_width_is_what_the_engine_logged(
    tiny: Tiny, embedding: int, feed_forward: int, use: tuple[int, int, int], logged: float
) -> None:
    """Logged by llama.cpp for models of random weights: none of these went into the formula but the last."""
    model = tiny(extra={"embedding_length": embedding, "feed_forward_length": feed_forward})

    planned = estimate(model, context=use[0], parallel=use[1], ubatch=use[2]).compute

    assert mib(planned) == pytest.approx(logged, abs=0.03)


@pytest.mark.parametrize(
    ("embedding", "used", "expert", "logged"),
    [
        (512, 8, 768, 45.02),
        (1024, 4, 384, 31.02),
        (1024, 8, 256, 42.02),
        (1024, 8, 512, 38.02),
        (2048, 4, 512, 40.02),
        (1024, 2, 512, 18.02),
        (1024, 2, 1536, 32.02),
    ],
)
def test_working_memory_of_a_mixture_is_never_planned_below_what_the_engine_logged(
    tiny: Tiny, embedding: int, used: int, expert: int, logged: float
) -> None:
    extra = {"expert_count": 16, "expert_used_count": used, "expert_feed_forward_length": expert}
    model = tiny(architecture="qwen3moe", extra={**extra, "embedding_length": embedding, "feed_forward_length": 2048})

    planned = mib(estimate(model, context=4096).compute)

    assert logged - 0.03 <= planned <= 1.7 * logged


def test_a_cache_type_that_the_engine_has_not_is_named_with_those_it_has(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match=r"'q2_k': expected one of f32, f16"):
        estimate(tiny(), context=512, cache_type_k="q2_k")

    assert bytes_of("q4_0") == 18 / 32
