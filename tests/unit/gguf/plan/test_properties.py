"""What holds for any model and any options, hostile ones too."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.certify.architectures import all_models
from tests.certify.writing import facts_of

from llmkube.gguf.facts import MOST_LAYERS, ModelFacts
from llmkube.gguf.keys import LARGEST_NUMBER
from llmkube.gguf.plan.buffers import Buffers, MemoryPlan
from llmkube.gguf.plan.layers import trunk
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import CACHE_TYPES, EngineOptions, PlanError
from llmkube.gguf.weights import Block, Weights

MIB = 1024 * 1024
MANY = settings(max_examples=150, deadline=None)
MODELS = [facts_of(model) for model in all_models()]


def options_of(*, split_mode: str, flash_attention: str, **more: Any) -> EngineOptions:
    """Options; what slices needs flash attention."""
    flash = "on" if split_mode == "tensor" else flash_attention
    return EngineOptions(split_mode=split_mode, flash_attention=flash, **more)


OPTIONS = st.builds(
    options_of,
    context=st.integers(1, 65_536),
    parallel=st.integers(1, 8),
    cache_type_k=st.sampled_from(["f16", "q8_0", "q4_0"]),
    flash_attention=st.sampled_from(["on", "off"]),
    ubatch=st.sampled_from([64, 512]),
    kv_unified=st.booleans(),
    swa_full=st.booleans(),
    embeddings=st.booleans(),
    gpus=st.integers(0, 3),
    gpu_layers=st.integers(-1, 9),
    split_mode=st.sampled_from(["layer", "row", "tensor", "none"]),
)
NUMBERS = st.sampled_from([0, 1, 3, 64, 255, 2**20, LARGEST_NUMBER])


def planned_for(facts: ModelFacts, options: EngineOptions) -> MemoryPlan:
    """The plan, unless the engine does not slice such a model."""
    try:
        return plan(facts, options)
    except PlanError:
        assume(not options.slices)
        raise


def caches(of: Buffers) -> int:
    return of.kv + of.kv_swa + of.recurrent


@MANY
@given(facts=st.sampled_from(MODELS), options=OPTIONS, more=st.integers(0, 65_536))
def test_more_context_never_needs_less(facts: ModelFacts, options: EngineOptions, more: int) -> None:
    larger = replace(options, context=(options.context or 0) + more)
    less, enough = planned_for(facts, options), planned_for(facts, larger)

    for before, after in zip((*less.devices, less.host), (*enough.devices, enough.host), strict=True):
        assert caches(after) >= caches(before)
        assert after.model == before.model
        assert after.compute >= 0.95 * before.compute - MIB  # the allocator's gaps may fit a little better
    assert enough.total >= 0.99 * less.total - MIB


@MANY
@given(facts=st.sampled_from(MODELS), options=OPTIONS, layers=st.integers(0, 8))
def test_more_layers_on_gpus_never_leave_more_weights_or_caches_to_the_host(
    facts: ModelFacts, options: EngineOptions, layers: int
) -> None:
    fewer, more = (planned_for(facts, replace(options, gpu_layers=count)).host for count in (layers, layers + 1))

    assert (more.model, caches(more)) <= (fewer.model, caches(fewer))
    assert caches(more) <= caches(fewer)


@MANY
@given(facts=st.sampled_from(MODELS), options=OPTIONS)
def test_a_plan_conserves_the_models_bytes_and_adds_up(facts: ModelFacts, options: EngineOptions) -> None:
    planned = planned_for(facts, options)
    alone = plan(facts, replace(options, gpus=0))

    drafting = sum(block.size for block in facts.weights.blocks[trunk(facts) :])
    more = planned.sum.model - facts.weights_bytes + drafting
    if options.slices:  # what cannot be cut is on every GPU
        assert 0 <= more <= (options.gpus - 1) * facts.weights_bytes + options.gpus * facts.weights.tied
        assert caches(alone.sum) <= caches(planned.sum) <= options.gpus * caches(alone.sum)
    else:
        assert more in (0, facts.weights.tied)
        assert caches(planned.sum) == caches(alone.sum)
    assert planned.total == sum(part.total for part in (*planned.devices, planned.host))
    assert len(planned.devices) == options.gpus
    assert planned.host.output > 0
    assert all(device.output == 0 for device in planned.devices)


@st.composite
def hostile(draw: st.DrawFn) -> ModelFacts:
    """A model of the certified ones with some numbers that no header should have."""
    facts = draw(st.sampled_from(MODELS))
    layers = draw(st.sampled_from([0, 1, 2, MOST_LAYERS]))
    names = draw(
        st.lists(st.sampled_from(["attn_q", "attn_kv_a_mqa", "attn_v_b", "ffn_gate_inp", "ssm_x"]), max_size=4)
    )
    shapes = {f"{name}.weight": draw(st.sampled_from([(), (1,), (2**40, 2**40)])) for name in names}
    attention = replace(
        facts.attention,
        heads=draw(st.sampled_from([(), (0,) * layers, tuple(range(layers))])),
        heads_kv=draw(st.sampled_from([(), (LARGEST_NUMBER,) * layers, tuple(range(layers))])),
        key_length=draw(NUMBERS),
        value_length=draw(st.none() | NUMBERS),
        sliding_window=draw(st.none() | NUMBERS),
        pattern=draw(st.sampled_from([None, 0, 1, (), (True,) * layers])),
        shared_kv_layers=draw(NUMBERS),
    )
    recurrence = replace(
        facts.recurrence, conv_kernel=draw(NUMBERS), inner_size=draw(NUMBERS), shortconv_cache=draw(NUMBERS)
    )
    return replace(
        facts,
        block_count=layers,
        embedding_length=draw(NUMBERS),
        context_length=draw(NUMBERS),
        experts=draw(NUMBERS),
        experts_used=draw(NUMBERS),
        nextn_layers=draw(NUMBERS),
        attention=attention,
        recurrence=recurrence,
        weights=Weights(0, 0, 0, (Block(1, 1, shapes, {}),) * layers, frozenset()),
    )


@settings(max_examples=200, deadline=None)
@given(facts=hostile(), options=OPTIONS)
def test_hostile_numbers_end_in_a_plan_or_in_one_line_and_soon(facts: ModelFacts, options: EngineOptions) -> None:
    began = time.monotonic()
    try:
        planned = plan(facts, options)
    except PlanError as error:
        told = str(error)
        assert told
        assert "\n" not in told
    else:
        assert min(planned.sum.model, planned.sum.kv, planned.sum.compute, planned.sum.output) >= 0
    assert time.monotonic() - began < 10  # a hang, not a speed


@given(name=st.sampled_from(sorted(CACHE_TYPES)))
def test_every_cache_type_of_the_engine_can_be_planned_for(name: str) -> None:
    planned = plan(MODELS[0], EngineOptions(context=512, cache_type_k=name, cache_type_v=name))

    assert planned.host.kv == 4 * 512 * 2 * 256 * CACHE_TYPES[name]
