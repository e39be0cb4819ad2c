"""The memory plan against what llama.cpp logged for real models, to the hundredth of a MiB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.certify.large import large
from tests.certify.writing import facts_of

from llmkube.gguf.facts import ModelFacts, facts
from llmkube.gguf.plan.buffers import Buffers
from llmkube.gguf.plan.cache import bytes_per_token
from llmkube.gguf.plan.layers import sliding
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions, PlanError
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


def estimate(facts: ModelFacts, **options: Any) -> Buffers:
    """What the model needs on a machine without GPUs."""
    return plan(facts, EngineOptions(**options)).host


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
        (2048, "q8_0", 23.91, 16.67),
        (8192, "q8_0", 95.62, 22.67),
        (32_768, "q8_0", 382.5, 46.67),
    ],
)
def test_smollm2_needs_what_the_engine_logged(
    smollm2_facts: ModelFacts, context: int, cache_type: str, kv: float, compute: float
) -> None:
    planned = estimate(smollm2_facts, context=context, cache_type_k=cache_type, cache_type_v=cache_type)

    assert (mib(planned.model), mib(planned.kv), mib(planned.output)) == (92.1, kv, 0.19)
    assert mib(planned.compute) == compute
    assert planned.total == planned.model + planned.kv + planned.compute + planned.output


@pytest.mark.parametrize(
    ("context", "cache_type", "kv", "kv_swa", "compute"),
    [
        (2048, "f16", 6.0, 15.0, 21.28),
        (8192, "f16", 24.0, 15.0, 27.28),
        (32_768, "f16", 96.0, 15.0, 51.28),
        (2048, "q8_0", 3.19, 7.97, 21.28),
        (8192, "q8_0", 12.75, 7.97, 27.28),
        (32_768, "q8_0", 51.0, 7.97, 51.28),
    ],
)
def test_gemma3_with_its_sliding_window_needs_what_the_engine_logged(
    gemma3: ModelFacts, context: int, cache_type: str, kv: float, kv_swa: float, compute: float
) -> None:
    planned = estimate(gemma3, context=context, cache_type_k=cache_type, cache_type_v=cache_type)

    assert (mib(planned.kv), mib(planned.kv_swa)) == (kv, kv_swa)


@pytest.mark.parametrize(
    ("name", "host", "first", "second"),
    [
        ("Llama-3.3-70B", 280.02, 232.01, 232.01),
        ("Gemma-3-27B", 212.03, 180.52, 180.52),
        ("gpt-oss-20b", 128.40, 128.40, 111.64),
    ],
)
def test_a_gpu_adds_up_the_hosts_last_layer_and_the_next_one_gets_its_state_scaled(
    name: str, host: float, first: float, second: float
) -> None:
    """What llama.cpp's own trial says for 32,768 tokens: with 20 layers on two GPUs."""
    model = facts_of(next(model for model in large() if model.name == name))
    split: dict[str, Any] = {"gpus": 2, "gpu_layers": 20, "tensor_split": (3.0, 1.0), "op_offload": False}
    found = plan(model, EngineOptions(context=32_768, flash_attention="on", **split))

    assert mib(found.host.compute) == pytest.approx(host, abs=0.02)
    assert [mib(device.compute) for device in found.devices] == pytest.approx([first, second], abs=0.02)


@pytest.mark.parametrize(
    ("name", "context", "host", "gpu"),
    [
        ("Llama-3.1-8B", 4096, 36.02, 131.5),
        ("Llama-3.1-8B", 32_768, 64.02, 200.0),
        ("Llama-3.3-70B", 8192, 72.02, 326.0),
        ("Llama-3.3-70B", 32_768, 96.02, 366.0),
        ("Gemma-3-27B", 32_768, 75.53, 338.01),
        ("Qwen3-30B-A3B", 8192, 24.02, 204.5),
    ],
)
def test_a_gpu_has_room_to_work_out_the_hosts_layers_and_the_host_needs_none(
    name: str, context: int, host: float, gpu: float
) -> None:
    """What the trial said of a Vulkan device with 20 layers. The plan for the GPU is a bound, not a walk."""
    model = facts_of(next(model for model in large() if model.name == name))
    found = plan(model, EngineOptions(context=context, flash_attention="on", gpus=1, gpu_layers=20))

    assert mib(found.host.compute) == pytest.approx(host, abs=0.02)
    assert gpu - 1 <= mib(found.devices[0].compute) <= 1.25 * gpu


def test_slots_share_the_context_in_steps_of_256_cells(smollm2_facts: ModelFacts) -> None:
    one, four, odd = (estimate(smollm2_facts, context=4096, parallel=slots) for slots in (1, 4, 3))

    assert one.kv == four.kv
    assert odd.kv == one.kv * 3 * 1536 // 4096
    assert four.output == 4 * one.output


def test_every_slot_has_a_window_of_its_own(gemma3: ModelFacts) -> None:
    one, two = (estimate(gemma3, context=slots * 8192, parallel=slots) for slots in (1, 2))

    assert two.kv_swa == 2 * one.kv_swa


@pytest.mark.parametrize(
    ("architecture", "layers", "use", "logged"),
    [
        ("gemma3", 7, (8192, 1, 512), (8.0, 6.0)),
        ("gemma3", 7, (8192, 2, 512), (8.0, 12.0)),
        ("gemma3", 7, (9000, 3, 256), (9.0, 13.5)),
        ("llama", 4, (8192, 1, 512), (32.0, 0.0)),
        ("llama", 4, (9000, 3, 256), (36.0, 0.0)),
    ],
)
def test_a_window_of_512_takes_what_the_engine_logged_where_it_honours_it(
    tiny: Tiny, architecture: str, layers: int, use: tuple[int, int, int], logged: tuple[float, float]
) -> None:
    heads = {"attention.head_count": 4, "attention.head_count_kv": 2, "attention.sliding_window": 512}
    model = tiny(architecture=architecture, extra={**heads, "block_count": layers, "embedding_length": 512})

    planned = estimate(model, context=use[0], parallel=use[1], ubatch=use[2])

    assert (planned.kv, planned.kv_swa) == (logged[0] * MIB, logged[1] * MIB)


def test_a_window_wider_than_the_context_saves_nothing(tiny: Tiny, gemma3: ModelFacts) -> None:
    blind = tiny(architecture="gemma3", extra={**GEMMA3_270M, "attention.sliding_window": None})
    planned = estimate(gemma3, context=512)

    assert planned.kv + planned.kv_swa == estimate(blind, context=512).kv


def test_key_value_heads_that_differ_by_layer_are_each_counted(tiny: Tiny) -> None:
    by_layer = tiny(extra={"attention.head_count_kv": [2, 0, 1, 0]})

    assert estimate(by_layer, context=256).kv == 3 * 256 * (8 + 8) * 2
    assert bytes_per_token(by_layer) == 3 * (8 + 8) * 2


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

    assert list(sliding(tiny(architecture=architecture, extra=extra))) == slides


def test_tied_output_is_held_twice_when_its_layer_is_on_a_gpu(smollm2_facts: ModelFacts) -> None:
    on_cpu, on_gpu = (
        plan(smollm2_facts, EngineOptions(context=2048, gpus=1, gpu_layers=layers)).sum.model for layers in (0, 99)
    )

    assert on_gpu - on_cpu == 49_152 * 576 * 34 // 32  # its token embedding is Q8_0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cache_type_k": "q2_k"}, "cache_type_k: expected one of f32, f16, .* found 'q2_k'"),
        ({"cache_type_v": "q8_0", "flash_attention": "off"}, "cache_type_v: expected f32, f16 or bf16 without flash"),
        ({"flash_attention": "yes"}, "flash_attention: expected one of auto, on, off, found 'yes'"),
        ({"split_mode": "rows"}, "split_mode: expected one of layer, row, none, tensor, found 'rows'"),
        ({"parallel": 0}, "parallel: expected a number from 1 to 256, found 0"),
        ({"context": 0}, "context: expected a number from 1 to"),
        ({"gpus": 2, "main_gpu": 2}, "main_gpu: expected a number from 0 to 1, found 2"),
        ({"gpus": 2, "tensor_split": (1, 1, 1)}, "tensor_split: expected at most one share for each of 2 GPUs"),
        ({"gpus": 2, "tensor_split": (1, float("nan"))}, "tensor_split: .* found 1,nan"),
    ],
)
def test_options_that_the_engine_refuses_are_one_line_that_names_them(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words) as refused:
        EngineOptions(**options)

    assert "\n" not in str(refused.value)


def test_a_file_without_layers_is_no_model_to_plan_for(tiny: Tiny) -> None:
    with pytest.raises(PlanError, match="clip: expected a model with layers, found none"):
        estimate(tiny(architecture="clip", extra={"block_count": None}), context=512)
