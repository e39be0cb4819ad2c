"""Which GPU has which layer, and what is there twice. The sums conserve the model's bytes, however it is split."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.certify.architectures import all_models
from tests.certify.writing import facts_of

from llmkube.gguf.plan.layers import trunk
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import Draft, EngineOptions
from llmkube.gguf.plan.placement import HOST, place

MODELS = {model.name: facts_of(model) for model in all_models()}
CONTEXT = 2048


@pytest.mark.parametrize(
    ("options", "free", "layers", "output"),
    [
        ({"gpus": 0}, (), [HOST] * 4, HOST),
        ({"gpus": 1}, (), [0] * 4, 0),
        ({"gpus": 1, "gpu_layers": 0}, (), [HOST] * 4, HOST),
        ({"gpus": 1, "gpu_layers": 1}, (), [HOST] * 4, 0),
        ({"gpus": 1, "gpu_layers": 3}, (), [HOST, HOST, 0, 0], 0),
        ({"gpus": 2}, (), [0, 0, 0, 1], 1),
        ({"gpus": 2, "tensor_split": (1, 3)}, (), [0, 0, 1, 1], 1),
        ({"gpus": 2, "tensor_split": (0, 1)}, (), [1] * 4, 1),
        ({"gpus": 2}, (1000, 9000), [0, 1, 1, 1], 1),
        ({"gpus": 2, "split_mode": "none", "main_gpu": 1}, (), [1] * 4, 1),
        ({"gpus": 3, "gpu_layers": 3}, (), [HOST, HOST, 0, 1], 2),
    ],
)
def test_the_last_layers_go_to_the_gpus_in_parts_as_asked_or_as_is_free(
    options: dict[str, object], free: tuple[int, ...], layers: list[int], output: int
) -> None:
    found = place(EngineOptions(**options), 4, free)  # type: ignore[arg-type]

    assert (list(found.layers), found.output) == (layers, output)


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("mode", ["layer", "row", "none"])
@pytest.mark.parametrize("layers", [0, 1, 3, -1])
def test_every_byte_of_the_model_is_somewhere_and_a_tied_output_twice(name: str, mode: str, layers: int) -> None:
    facts = MODELS[name]
    options = EngineOptions(context=CONTEXT, gpus=2, gpu_layers=layers, split_mode=mode, tensor_split=(2, 1))

    loaded = facts.weights_bytes - sum(block.size for block in facts.weights.blocks[trunk(facts) :])
    assert plan(facts, options).sum.model == loaded + (facts.weights.tied if layers and "bert" not in name else 0)


def test_the_vocabulary_is_never_on_a_gpu_but_as_the_output() -> None:
    tied, own = (plan(MODELS[name], EngineOptions(context=CONTEXT, gpus=1)).host.model for name in ("qwen3", "llama"))

    assert tied == own == MODELS["llama"].weights.inputs


@pytest.mark.parametrize("name", ["gemma3n", "gemma4"])
def test_a_vocabulary_for_each_layer_stays_on_the_host_and_what_projects_it_is_where_the_first_layer_is(
    name: str,
) -> None:
    facts = MODELS[name]
    whole, all_but_one = (
        plan(facts, EngineOptions(context=CONTEXT, gpus=1, gpu_layers=layers)).host.model
        for layers in (-1, facts.block_count or 0)
    )

    assert whole == facts.weights.inputs > facts.weights.tied
    assert all_but_one - whole == facts.weights.blocks[0].size > facts.weights.blocks[2].size


def test_a_cache_that_a_layer_of_another_gpu_uses_is_brought_over_to_it() -> None:
    shares = MODELS["gemma4"]
    owns = replace(shares, attention=replace(shares.attention, shared_kv_layers=0))
    options = EngineOptions(context=65536, gpus=2, gpu_layers=6, tensor_split=(4, 2))
    borrows, has = (plan(facts, options).devices[1] for facts in (shares, owns))

    assert borrows.kv == 0
    assert borrows.compute == pytest.approx(has.compute + has.kv, abs=2 << 20)


def test_the_cache_is_beside_its_layer_or_all_on_the_host() -> None:
    beside, away = (
        plan(MODELS["llama"], EngineOptions(context=CONTEXT, gpus=2, tensor_split=(1, 1), kv_offload=offload))
        for offload in (True, False)
    )

    assert [device.kv for device in beside.devices] == [3 * beside.sum.kv // 4, beside.sum.kv // 4]
    assert (away.host.kv, away.sum.kv) == (beside.sum.kv, beside.sum.kv)


def test_several_batches_overlap_only_when_all_layers_are_on_several_gpus_by_layer() -> None:
    split, rows, one = (
        plan(MODELS["llama"], EngineOptions(context=CONTEXT, gpus=gpus, split_mode=mode)).host.compute
        for gpus, mode in ((2, "layer"), (2, "row"), (1, "layer"))
    )

    assert rows == one
    assert split > 2 * one


def test_what_is_loaded_beside_the_model_is_counted_where_its_output_is() -> None:
    alone, beside = (
        plan(MODELS["llama"], EngineOptions(context=CONTEXT, gpus=1, projector_bytes=projector, lora_bytes=projector))
        for projector in (0, 1000)
    )

    assert beside.devices[0].model == alone.devices[0].model + 2000


def test_a_draft_model_is_added_device_by_device() -> None:
    small = EngineOptions(context=CONTEXT, gpus=1)
    both = plan(MODELS["llama"], EngineOptions(context=CONTEXT, gpus=2, draft=Draft(MODELS["qwen3"], small)))
    alone, draft = plan(MODELS["llama"], EngineOptions(context=CONTEXT, gpus=2)), plan(MODELS["qwen3"], small)

    assert both.devices == (alone.devices[0] + draft.devices[0], alone.devices[1])
    assert both.host == alone.host + draft.host
