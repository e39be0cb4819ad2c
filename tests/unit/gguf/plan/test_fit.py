"""The largest context and the most layers that fit are those that trying all of them finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.certify.architectures import all_models
from tests.certify.writing import facts_of

from llmkube.gguf.facts import ModelFacts
from llmkube.gguf.plan.fit import fits, largest_context, most_layers
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions

MIB = 1024 * 1024
MODELS = {model.name: replace(facts_of(model), context_length=8192) for model in all_models()}
PLENTY = 1 << 40
NAMES = ["llama", "gemma3", "qwen3moe", "deepseek2", "mamba2", "jamba", "bert"]


def contexts(facts: ModelFacts, options: EngineOptions, free: tuple[int, ...], host: int) -> list[int]:
    step = 256 * (1 if options.kv_unified else options.parallel)
    asked = range(step, 8192 + 1, step)
    return [one for one in asked if fits(plan(facts, replace(options, context=one), free=free), free, host)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("room", [20, 45, 60, 90, 200])
@pytest.mark.parametrize("slots", [1, 4])
def test_the_largest_context_is_the_last_of_those_that_fit(name: str, room: int, slots: int) -> None:
    options = EngineOptions(gpus=1, parallel=slots)
    found = largest_context(MODELS[name], options, (room * MIB,), PLENTY)

    assert found == max(contexts(MODELS[name], options, (room * MIB,), PLENTY), default=None)


def test_the_host_limits_the_context_too() -> None:
    options = EngineOptions()
    found = largest_context(MODELS["llama"], options, (), 90 * MIB)

    assert found == max(contexts(MODELS["llama"], options, (), 90 * MIB))
    assert largest_context(MODELS["llama"], options, (), 10 * MIB) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("free", [(1,), (20,), (40,), (20, 20), (60, 5), (5, 60), (300, 300)])
def test_the_most_layers_are_the_last_of_those_that_fit(name: str, free: tuple[int, ...]) -> None:
    facts, room = MODELS[name], tuple(one * MIB for one in free)
    options = EngineOptions(context=2048, gpus=len(free))
    counts = range((facts.block_count or 0) + 2)
    good = [one for one in counts if fits(plan(facts, replace(options, gpu_layers=one), free=room), room, PLENTY)]

    assert most_layers(facts, options, room, PLENTY) == max(good, default=0)


def test_without_a_gpu_no_layer_is_on_one() -> None:
    assert most_layers(MODELS["llama"], EngineOptions(), (), PLENTY) == 0


def test_a_gpu_that_is_not_told_of_has_nothing_free() -> None:
    planned = plan(MODELS["llama"], EngineOptions(context=2048, gpus=2))

    assert fits(planned, (PLENTY, PLENTY), PLENTY)
    assert not fits(planned, (PLENTY,), PLENTY)
    assert not fits(planned, (PLENTY, PLENTY), 0)
