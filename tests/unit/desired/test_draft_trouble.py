"""Which drafts go with a model: those that have its vocabulary, and those that were made for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.layouts import layout, llama

from llmkube.api.model import GGUFFacts, ModelMemory, Tokenizer
from llmkube.desired.drafts import draft_part, draft_trouble
from llmkube.desired.engine.build import Build
from llmkube.desired.fitting import unfit
from llmkube.desired.inputs import Inputs, Served

Factory = Callable[..., Any]
MI = 2**20
SMALL_FACTS = llama(layers=4, width=256)
DRAFTED = {"speculative": {"draftModelRef": "small"}}
VOCABULARY = Tokenizer(model="gpt2", add_bos=False, bos=1, eos=2, digest="aa")


def facts(vocabulary: Tokenizer | None = VOCABULARY, **fields: Any) -> dict[str, Any]:
    said = {"architecture": "llama", "vocabulary_size": 49152, "tokenizer": vocabulary, **fields}
    return {"gguf": GGUFFacts(**said)}


def other(**fields: Any) -> Tokenizer:
    return VOCABULARY.model_copy(update=fields)


@pytest.mark.parametrize(
    "draft",
    [
        facts(),
        facts(None),
        facts(vocabulary_size=49152 + 128, vocabulary=other(digest="bb")),
        facts(other(eos=7)),
        facts(other(digest=None)),
        {"gguf": None},
    ],
)
def test_a_draft_whose_vocabulary_the_engine_takes_is_taken(draft: Any, model: Factory) -> None:
    assert draft_trouble(model(status=facts()), model("small", status=draft)) is None


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (
            facts(other(model="llama"), vocabulary_size=32000),
            ("(gpt2, 49152 tokens)", "small with llama, 32000 tokens"),
        ),
        (facts(vocabulary_size=49152 + 129), ("(gpt2, 49152 tokens)", "small with gpt2, 49281 tokens")),
        (facts(other(add_bos=True)), ("(add_bos false)", "small with add_bos true")),
        (facts(other(digest="bb")), ("49152 tokens of digest aa", "of digest bb")),
    ],
)
def test_a_draft_with_another_vocabulary_is_refused_with_what_differs(
    draft: Any, words: tuple[str, str], model: Factory
) -> None:
    told = draft_trouble(model(status=facts()), model("small", status=draft))
    assert told is not None
    assert (told.reason, [each in told.message for each in words]) == ("DraftVocabularyDiffers", [True, True]), told
    assert told.message.startswith("spec.speculative.draftModelRef: expected a model with the vocabulary of tiny")


def test_begin_tokens_are_compared_only_where_both_put_them(model: Factory) -> None:
    large = model(status=facts(other(add_bos=True)))
    told = draft_trouble(large, model("small", status=facts(other(add_bos=True, bos=5))))
    assert told is not None
    assert "(bos 1), found small with bos 5" in told.message


def test_an_adapter_can_neither_be_served_nor_draft(model: Factory) -> None:
    adapter = model("pirate", status=facts(type="adapter", adapter_type="lora"))
    for inputs, where in ((Inputs(adapter), "spec.modelRef"), (Inputs(model(), adapter), "draftModelRef")):
        told = unfit(inputs)
        assert told is not None
        assert (told.reason, where in told.message, "spec.loraAdapters" in told.message) == ("NotAModel", True, True)


def test_a_draft_that_reads_what_the_model_computes_has_a_type_of_its_own(model: Factory, isvc_spec: Factory) -> None:
    inputs = Inputs(model(status=facts()), model("small", status=facts(None, architecture="eagle3", vocabulary_size=5)))
    assert unfit(inputs) is None
    assert draft_part(isvc_spec(**DRAFTED), inputs, Build(11669)).args[:2] == ("--spec-type", "draft-eagle3")


def drafting(model: Factory, **target: int) -> Served:
    """A draft of 1024 numbers for a token, made for the layers of another model."""
    read = llama(layers=1, architecture="eagle3", **target)
    memory = ModelMemory(weights=MI, kv_cache_per_token=1024, compute_estimate=MI, layout=layout(read))
    found: Served = model("small", status={**facts(None, architecture="eagle3"), "memory": memory})
    return found


@pytest.mark.parametrize("target", [{}, {"target_width": 1024}, {"target_layer": 30}])
def test_a_draft_made_for_the_model_is_taken(target: dict[str, int], model: Factory) -> None:
    assert draft_trouble(model(status=facts()), drafting(model, **target)) is None


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"target_width": 4096, "target_layer": 28}, "made for one of 4096 numbers, whose layer 28 it reads"),
        ({"target_layer": 31}, "made for one of 1024 numbers, whose layer 31 it reads"),
        ({"width": 2048, "heads": 16}, "made for one of 2048 numbers"),
    ],
)
def test_a_draft_made_for_another_model_is_refused_with_what_it_reads(
    target: dict[str, int], words: str, model: Factory
) -> None:
    told = draft_trouble(model(status=facts()), drafting(model, **target))
    assert told is not None
    assert (told.reason, words in told.message) == ("DraftTargetDiffers", True), told
    assert "made for tiny (1024 numbers for a token and 30 layers), found small (eagle3)" in told.message


def test_a_draft_whose_header_is_not_known_is_taken(model: Factory) -> None:
    assert draft_trouble(model(status=facts()), model("small", status=facts(None, architecture="dflash"))) is None


def test_what_only_drafts_is_not_served(model: Factory) -> None:
    told = unfit(Inputs(drafting(model)))
    assert told is not None
    assert (told.reason, "spec.speculative.draftModelRef" in told.message) == ("NotAModel", True)
    assert unfit(Inputs(model(status=facts()), drafting(model))) is None
