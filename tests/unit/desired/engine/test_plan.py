"""How the engine is run: what fits is planned with numbers, and what does not is refused with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.layouts import layout, llama

from llmkube.desired.engine.plan import EnginePlan, engine_plan
from llmkube.desired.inference_plan import published
from llmkube.desired.inputs import Adapter, Inputs, Served
from llmkube.desired.pod_trouble import Trouble
from llmkube.gguf.packed import VERSION
from llmkube.gguf.plan.fit import reserve_of

Factory = Callable[..., Any]
GI = 2**30
# 40 layers of 0.38 GiB each, 0.3 GiB of output: 15.5 GiB in all.
LARGE = layout(llama(layers=40, width=4096, heads=32, vocabulary=32768, context=32768))


@pytest.fixture
def planned(isvc_spec: Factory, model_spec: Factory, model_status: Factory, resource: Factory) -> Factory:
    def make(
        isvc: dict[str, Any] | None = None, packed: str | None = LARGE, architecture: str = "llama", **gpu: Any
    ) -> EnginePlan | Trouble:
        status = model_status()
        header = {"architecture": architecture, "block_count": 40, "context_length": 32768}
        facts = {"gguf": status.gguf.model_copy(update=header)}
        facts["memory"] = status.memory.model_copy(update={"layout": packed})
        hardware = {"accelerator": "cuda", "gpu": gpu} if gpu else {}
        served = Served(resource(), model_spec(hardware=hardware), model_status(**facts))
        return engine_plan(isvc_spec(**isvc or {}), Inputs(served))

    return make


@pytest.fixture
def message(isvc_spec: Factory, model_spec: Factory) -> Callable[[EnginePlan], str]:
    def make(engine: EnginePlan) -> str:
        told = published(isvc_spec(), model_spec(), engine)
        assert told is not None
        return told.message or ""

    return make


def split(*ranges: str, **more: Any) -> dict[str, Any]:
    return {"strategy": "layer", "layerSplit": list(ranges), **more}


def test_on_the_cpu_every_layer_is_on_the_host(planned: Factory, message: Callable[..., str]) -> None:
    found = planned()
    assert (found.gpus, found.layers, found.total) == (0, 0, 41)
    assert message(found).startswith("All 41 layers on the CPU; ")


def test_a_gpu_that_has_room_gets_every_layer_and_it_is_said_how_much_it_holds(
    planned: Factory, message: Callable[..., str]
) -> None:
    found = planned(count=1, memory="24Gi")
    assert (found.layers, found.room) == (41, 24 * GI - reserve_of(24 * GI))
    (device,) = found.memory.devices
    assert 15 * GI < device.total < found.room
    assert message(found).startswith("All 41 layers on 1 GPU, which hold ")
    assert "of the 23.3Gi that the driver leaves of each" in message(found)


def test_where_not_all_layers_fit_as_many_as_do_are_on_the_gpu(planned: Factory, message: Callable[..., str]) -> None:
    found = planned(count=1, memory="12Gi")
    assert 20 < found.layers < 41
    assert found.memory.devices[0].total <= found.room
    assert message(found).startswith(f"{found.layers} of 41 layers on 1 GPU")
    more = planned(count=1, memory="12Gi", layers=found.layers + 1)
    assert isinstance(more, Trouble)
    assert f"{found.layers} layers would fit" in more.message


def test_layers_that_the_person_asks_for_and_that_do_not_fit_are_refused_with_numbers(planned: Factory) -> None:
    found = planned({"contextSize": 32768}, count=1, memory="12Gi", layers=30)
    assert found.reason == "DoesNotFit"
    assert found.message.startswith("Model spec.hardware.gpu: 30 of 41 layers with 32768 tokens of context need ")
    assert "on GPU 0, which has 11.4Gi for the engine: " in found.message
    assert "tokens of context would fit" in found.message


@pytest.mark.parametrize("memory", ["512Mi", "0", "1Gi"])
def test_gpus_that_hold_not_even_one_layer_are_refused(planned: Factory, memory: str) -> None:
    found = planned({"contextSize": 32768}, count=1, memory=memory)
    assert found.reason == "DoesNotFit"


def test_what_the_service_says_of_the_gpus_counts(planned: Factory) -> None:
    assert planned({"resources": {"gpuMemory": "24Gi"}}, count=1, memory="1Gi").layers == 41


def test_gpus_of_unknown_size_get_what_the_engine_finds_room_for(planned: Factory, message: Callable[..., str]) -> None:
    found = planned(count=2)
    assert (found.layers, found.tensor_split) == (None, ())
    assert "hardware.gpu.memory does not say" in message(found)


def test_two_gpus_share_the_layers_and_the_engine_is_told_how(planned: Factory) -> None:
    found = planned(count=2, memory="12Gi")
    assert (found.layers, sum(found.tensor_split)) == (41, 41)
    assert all(device.total <= found.room for device in found.memory.devices)


def test_where_the_output_layer_makes_the_last_gpu_too_full_layers_are_moved_to_the_first(planned: Factory) -> None:
    wide = layout(llama(layers=40, width=4096, heads=32, vocabulary=262144, context=32768))  # an output layer of 2 GiB
    found = planned(packed=wide, count=2, memory="12Gi")
    assert (found.layers, sum(found.tensor_split)) == (41, 41)
    assert found.tensor_split[0] > found.tensor_split[1] + 1
    assert all(device.total <= found.room for device in found.memory.devices)


def test_the_layers_of_each_gpu_are_as_the_person_says_and_the_output_layer_is_with_the_last(planned: Factory) -> None:
    found = planned(count=2, memory="24Gi", sharding=split("0-9", "10-39"))
    assert (found.layers, found.tensor_split) == (41, (10, 31))
    first, second = (device.model for device in found.memory.devices)
    assert second > 3 * first


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        ({"count": 2, "sharding": split("0-9", "11-39")}, ("layerSplit[1]", "begins with layer 10", "11-39")),
        ({"count": 2, "sharding": split("10-39", "0-9")}, ("layerSplit[0]", "begins with layer 0")),
        ({"count": 2, "sharding": split("0-9", "10-19")}, ("layerSplit: expected 40 layers", "found 20")),
        ({"count": 2, "sharding": split("0-9", "10-41")}, ("layerSplit: expected 40 layers", "found 42")),
        ({"count": 2, "sharding": split("0-19", "20-39", strategy="row")}, ("sharding.strategy", "row")),
        ({"count": 2, "layers": 5, "sharding": split("0-19", "20-39")}, ("gpu.layers", "found 5")),
        ({"count": 2, "memory": "12Gi", "sharding": split("0-1", "2-39")}, ("on GPU 1", "less", "41 layers would fit")),
    ],
)
def test_a_layer_split_that_cannot_be_is_refused_with_its_path_and_numbers(
    gpu: dict[str, Any], words: tuple[str, ...], planned: Factory
) -> None:
    found = planned(**gpu)
    assert isinstance(found, Trouble)
    assert all(word in found.message for word in words), found.message


def test_another_number_of_gpus_than_ranges_is_refused(planned: Factory) -> None:
    found = planned({"resources": {"gpu": 3}}, count=2, sharding=split("0-19", "20-39"))
    assert "expected 3 ranges" in found.message


def test_a_split_by_tensors_needs_flash_attention(planned: Factory) -> None:
    found = planned({"flashAttention": "off"}, count=2, sharding={"strategy": "tensor"})
    assert found.message.startswith("spec.flashAttention: ")
    assert planned({"flashAttention": "off"}, count=1, sharding={"strategy": "tensor"}).gpus == 1


def test_slices_of_each_matrix_are_even_and_are_told_to_the_engine(planned: Factory) -> None:
    found = planned(count=2, memory="24Gi", sharding={"strategy": "tensor"})
    assert (found.layers, found.tensor_split) == (41, (1, 1))
    first, second = found.memory.devices
    assert first == second


def test_what_the_engine_cannot_slice_is_refused_by_its_architecture_even_without_a_layout(planned: Factory) -> None:
    for packed in (LARGE, None):
        found = planned(packed=packed, architecture="olmo2", count=2, sharding={"strategy": "tensor"})
        assert found.reason == "EngineRefuses"
        assert found.message.startswith("Model spec.hardware.gpu.sharding.strategy: expected layer or none for ")
    assert planned(architecture="olmo2", count=1, sharding={"strategy": "tensor"}).gpus == 1


def test_what_the_engine_aborts_at_in_slices_is_refused_with_the_strategy(planned: Factory) -> None:
    one = llama(layers=4, heads=8)
    packed = layout(replace(one, attention=replace(one.attention, heads_kv=(1,) * 4)))
    found = planned({"cacheTypeK": "q8_0"}, packed=packed, count=2, sharding={"strategy": "tensor"})
    assert found.message.startswith(
        "Model spec.hardware.gpu.sharding.strategy: tensor cannot be had here: cache_type_k"
    )


def test_adapters_are_refused_where_the_engine_aborts_with_them(
    isvc_spec: Factory, model_spec: Factory, model_status: Factory, resource: Factory
) -> None:
    gpu = {"count": 2, "sharding": {"strategy": "tensor"}}
    served = Served(resource(), model_spec(hardware={"accelerator": "cuda", "gpu": gpu}), model_status())
    adapters = (Adapter("small", served),)
    found = engine_plan(isvc_spec(), Inputs(served, adapters=adapters))
    assert isinstance(found, Trouble)
    assert found.message.startswith("spec.loraAdapters: expected none with the sharding strategy tensor, found 1; ")


def test_without_a_layout_nothing_is_promised(planned: Factory, message: Callable[..., str]) -> None:
    found = planned(packed=None, count=1, memory="24Gi")
    assert (found.memory, found.layers, found.total) == (None, None, 41)
    assert message(found).startswith("Not planned: ")


@pytest.mark.parametrize("packed", [VERSION + "AAAA", "9:what", ""])
def test_a_layout_that_cannot_be_read_is_as_none(packed: str, planned: Factory) -> None:
    assert planned(packed=packed).memory is None


def test_a_layout_of_absurd_numbers_is_a_trouble_and_no_crash(planned: Factory) -> None:
    found = planned(packed=layout(llama(layers=40, heads=0)))
    assert isinstance(found, EnginePlan | Trouble)


def test_the_same_question_is_answered_from_memory(planned: Factory) -> None:
    assert planned(count=1, memory="24Gi") is planned(count=1, memory="24Gi")
