"""Split mode tensor: what each GPU has of every matrix and cache, and what the engine does not slice.

That the numbers are the engine's own, tests/certify shows.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.certify.architectures import all_models
from tests.certify.writing import facts_of

from llmkube.desired.architectures import KNOWN
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions, PlanError
from llmkube.gguf.plan.slices import ABORTED, WITHOUT_TENSOR, unsliceable
from llmkube.gguf.plan.slicing import Segment, cut

MODELS = {model.name: facts_of(model) for model in all_models()}
SLICED = EngineOptions(context=8192, gpus=2, flash_attention="on", split_mode="tensor")


@pytest.mark.parametrize(
    ("segment", "shares", "turn", "parts"),
    [
        (Segment(1024, 128), (1, 1), 0, (512, 512)),
        (Segment(1024, 128), (3, 1), 0, (768, 256)),
        (Segment(768, 512), (1, 1), 0, (0, 768)),
        (Segment(768, 512), (1, 1), 1, (768, 0)),
        (Segment(300, 100), (1, 1, 2), 0, (0, 100, 200)),
        (Segment(300, 100), (1, 1, 2), 1, (100, 0, 200)),
        (Segment(100, 1, 2), (1, 1, 1), 0, (66, 66, 68)),
        (Segment(0, 128), (1, 1), 0, (0, 0)),
    ],
)
def test_a_slice_is_rounded_down_and_the_rest_goes_to_the_last_which_is_another_in_each_layer(
    segment: Segment, shares: tuple[float, ...], turn: int, parts: tuple[int, ...]
) -> None:
    assert cut(segment, shares, turn) == parts


def test_a_tied_output_matrix_is_whole_on_every_gpu_and_one_of_its_own_is_cut() -> None:
    tied = MODELS["qwen3"]
    size = tied.weights.tied
    own = replace(tied, weights=replace(tied.weights, tied=0, outputs=tied.weights.outputs + size, head=size))
    shares = replace(SLICED, tensor_split=(3, 1))

    more = [
        one.model - other.model
        for one, other in zip(plan(tied, shares).devices, plan(own, shares).devices, strict=True)
    ]
    assert more == [size // 4, 3 * size // 4]


def test_shares_are_even_by_default_whatever_is_free() -> None:
    first, second = plan(MODELS["llama"], SLICED, free=(80 << 30, 8 << 30)).devices

    assert first == second


def test_heads_that_share_a_key_head_stay_together() -> None:
    one = replace(MODELS["llama"].attention, heads_kv=(1,) * 4)
    first, second = plan(replace(MODELS["llama"], attention=one), SLICED).devices

    assert first.kv == second.kv == 2 * 8192 * 2 * 128 * 2  # two of the four layers each, and not half of each layer


def test_one_head_of_keys_cannot_be_quantised() -> None:
    one = replace(MODELS["llama"], attention=replace(MODELS["llama"].attention, heads_kv=(1,) * 4))

    with pytest.raises(
        PlanError, match=r"cache_type_k: expected f16, bf16 or f32 for one head .* found q8_0; take f16"
    ):
        plan(one, replace(SLICED, cache_type_k="q8_0"))
    assert plan(one, replace(SLICED, cache_type_v="q8_0")).total > 0
    assert plan(MODELS["llama"], replace(SLICED, cache_type_k="q8_0")).total > 0


def test_every_gpu_works_in_as_much_memory_as_a_single_one_and_adds_up_beside_it() -> None:
    facts = MODELS["qwen3moe"]
    single = plan(facts, replace(SLICED, gpus=1, split_mode="none"))

    def room(gpus: int) -> int:
        return plan(facts, replace(SLICED, gpus=gpus)).devices[0].compute - single.devices[0].compute

    assert room(2) == 4 * 1024 * 8 * 512
    assert room(3) == room(4) == 2 * room(2)
    assert [device.compute for device in plan(facts, SLICED).devices] == [single.devices[0].compute + room(2)] * 2
    assert plan(facts, SLICED).host.compute == single.host.compute


def test_nothing_is_worked_in_where_no_layer_is() -> None:
    planned = plan(MODELS["llama"], replace(SLICED, gpu_layers=0))

    assert [device.total for device in planned.devices] == [0, 0]


def test_one_gpu_is_not_sliced() -> None:
    one = replace(SLICED, gpus=1)

    assert plan(MODELS["olmo2"], one) == plan(MODELS["olmo2"], replace(one, split_mode="none"))


def test_the_projector_is_with_the_first_gpu() -> None:
    alone, beside = (plan(MODELS["llama"], replace(SLICED, projector_bytes=size)).devices for size in (0, 1000))

    assert [after.model - before.model for before, after in zip(alone, beside, strict=True)] == [1000, 0]


def test_every_architecture_that_is_not_sliced_is_one_that_is_known() -> None:
    assert WITHOUT_TENSOR | ABORTED < KNOWN
    assert not WITHOUT_TENSOR & ABORTED
    assert all(map(unsliceable, WITHOUT_TENSOR | ABORTED))
    assert not any(map(unsliceable, KNOWN - WITHOUT_TENSOR - ABORTED))


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("olmo2", {}, "split_mode: expected layer or none for the architecture olmo2, .* found tensor"),
        ("gemma4", {"tensor_split": (3, 1)}, "tensor_split: expected shares .* found 3:1; take equal ones"),
        ("qwen3next", {"gpus": 3}, "tensor_split: expected shares .* found 1:1:1; take equal ones"),
        ("qwen35", {"kv_offload": False}, "kv_offload: expected true for recurrent layers"),
        ("llama", {"lora_bytes": 1}, "lora_bytes: expected no adapters with split mode tensor"),
        ("llama", {"flash_attention": "off"}, "flash_attention: expected auto or on with split mode tensor, found off"),
    ],
)
def test_what_the_engine_refuses_to_slice_or_aborts_at_is_refused(
    name: str, more: dict[str, object], told: str
) -> None:
    with pytest.raises(PlanError, match=told):
        plan(MODELS[name], replace(SLICED, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "more"), [("gemma4", {}), ("qwen3next", {"tensor_split": (3, 1)}), ("qwen35", {"gpus": 3})]
)
def test_what_it_slices_is_not(name: str, more: dict[str, object]) -> None:
    assert plan(MODELS[name], replace(SLICED, **more)).total > 0  # type: ignore[arg-type]
