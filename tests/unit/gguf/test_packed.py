"""What a Model's status keeps of a header: enough for the same plan, short, and nothing that can hurt who reads it."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from dataclasses import replace

import msgspec
import pytest
from tests.certify.architectures import all_models
from tests.certify.writing import facts_of
from tests.layouts import layout, llama

from llmkube.gguf.packed import LONGEST, VERSION, packed, unpacked
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions

MODELS = {model.name: model for model in all_models()}


@pytest.mark.parametrize("name", MODELS)
def test_the_plan_of_every_architecture_is_the_same_from_what_was_packed(name: str) -> None:
    facts = facts_of(MODELS[name])
    found = unpacked(layout(facts))
    assert found is not None
    for gpus in (0, 2):
        options = EngineOptions(gpus=gpus, context=2048)
        assert plan(found, options) == plan(facts, options)


def test_a_deep_model_is_packed_into_what_a_termination_message_can_hold() -> None:
    assert len(layout(llama(layers=80, width=8192))) < 2400


def test_names_and_texts_that_anybody_may_write_are_left_out() -> None:
    found = unpacked(layout(llama(name="x" * 1000, license="y")))
    assert found is not None
    assert (found.name, found.license) == (None, None)


def test_a_header_too_odd_to_be_packed_is_none() -> None:
    facts = llama()
    odd = frozenset(f"{'x' * 40}{index * 7919 % 99991}" for index in range(20_000))
    assert packed(replace(facts, weights=replace(facts.weights, names=odd))) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3:abc",
        VERSION,
        VERSION + "not base64",
        VERSION + "no ASCII: \u00fc",
        VERSION + b64encode(zlib.compress(b"\x91" * 9999)).decode(),
        VERSION + b64encode(b"not zlib").decode(),
        VERSION + b64encode(zlib.compress(b"not msgpack")).decode(),
        VERSION + b64encode(zlib.compress(bytes(10_000_000))).decode()[:LONGEST],
        VERSION + "A" * LONGEST,
    ],
)
def test_what_is_damaged_is_none_and_never_an_error(text: str) -> None:
    assert unpacked(text) is None


def test_fewer_layers_than_are_told_are_none() -> None:
    text = layout(llama())
    content = msgspec.msgpack.decode(zlib.decompress(b64decode(text[len(VERSION) :])))
    content[3] = content[3][:-1]
    damaged = VERSION + b64encode(zlib.compress(msgspec.msgpack.encode(content))).decode()
    assert unpacked(damaged) is None
