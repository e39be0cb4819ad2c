"""What would make a plan fit: every remedy is enough alone, and none that is not is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmkube.cli.catalog import memory, read
from llmkube.gguf.described import in_file_type
from llmkube.gguf.facts import ModelFacts, facts
from llmkube.gguf.plan.fit import fits
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions
from llmkube.gguf.plan.remedies import Remedy, Room, remedies
from llmkube.gguf.reader import read_file

GIB = 1024**3
PLENTY = 2**62
SMALL = Room((6 * GIB,), PLENTY, (("middling", 13 * GIB // 2), ("big", 20 * GIB), ("huge", 80 * GIB)))


@pytest.fixture(scope="module")
def model() -> ModelFacts:
    entry = read.shipped()["qwen3-8b"]
    return memory.facts_of(entry, entry.quantizations[0])


def options(**changes: object) -> EngineOptions:
    return replace(EngineOptions(context=16_384, gpus=1), **changes)  # type: ignore[arg-type]


def applied(facts_: ModelFacts, asked: EngineOptions, room: Room, remedy: Remedy) -> bool:
    """Whether everything fits after this one change."""
    changed, found, free = asked, facts_, room.gpus
    match remedy.change, remedy.value:
        case "gpuLayers", int(count):
            changed = replace(asked, gpu_layers=count)
        case "context", int(tokens):
            changed = replace(asked, context=tokens)
        case "cacheType", str(name):
            changed = replace(asked, cache_type_k=name, cache_type_v=name)
        case "quantization", str(name):
            found = in_file_type(facts_, name)
        case "gpuCount", int(count):
            changed, free = replace(asked, gpus=count), room.gpus * count
        case "gpu", str(name):
            free = (dict(room.larger)[name],) * asked.gpus
    return fits(plan(found, changed, free=free), free, room.host)


def test_every_remedy_is_enough_alone(model: ModelFacts) -> None:
    asked = options()
    assert not fits(plan(model, asked, free=SMALL.gpus), SMALL.gpus, SMALL.host)

    found = remedies(model, asked, SMALL)

    assert [each.change for each in found] == ["gpuLayers", "context", "cacheType", "quantization", "gpuCount", "gpu"]
    assert all(applied(model, asked, SMALL, each) for each in found)


def test_one_step_less_would_not_be_enough(model: ModelFacts) -> None:
    asked = options()
    found = {each.change: each.value for each in remedies(model, asked, SMALL)}

    assert not applied(model, asked, SMALL, Remedy("gpuLayers", int(found["gpuLayers"]) + 1, plan(model, asked)))
    assert not applied(model, asked, SMALL, Remedy("context", int(found["context"]) + 256, plan(model, asked)))
    assert found["gpuCount"] == 2
    assert found["gpu"] == "big"


def test_a_host_that_is_too_small_takes_no_layers(model: ModelFacts) -> None:
    room = replace(SMALL, host=600 * 1024**2)
    assert "gpuLayers" not in {each.change for each in remedies(model, options(), room)}


def test_without_flash_attention_no_smaller_cache_is_told(model: ModelFacts) -> None:
    found = remedies(model, options(flash_attention="off"), SMALL)
    assert "cacheType" not in {each.change for each in found}


def test_a_cache_that_is_small_already_is_no_remedy(model: ModelFacts) -> None:
    asked = options(context=40_960, cache_type_k="q4_0", cache_type_v="q4_0")
    assert "cacheType" not in {each.change for each in remedies(model, asked, SMALL)}


def test_on_a_cpu_nothing_of_gpus_is_told(model: ModelFacts) -> None:
    found = remedies(model, options(gpus=0), Room((), 6 * GIB))
    assert {each.change for each in found} == {"context", "cacheType", "quantization"}
    assert all(applied(model, options(gpus=0), Room((), 6 * GIB), each) for each in found)


def test_what_no_change_helps_has_no_remedy(model: ModelFacts) -> None:
    assert remedies(model, options(), Room((64 * 1024**2,), 64 * 1024**2)) == ()


def test_a_real_model_keeps_its_weights_in_its_own_quantization(smollm2: object) -> None:
    found = facts(read_file(smollm2))  # type: ignore[arg-type]

    again = in_file_type(found, "Q4_1")

    output_norm = 4 * (found.embedding_length or 0)
    assert found.weights.total - again.weights.total == output_norm
    assert [one.size for one in again.weights.blocks] == [one.size for one in found.weights.blocks]
    assert again.weights.tied == found.weights.tied
