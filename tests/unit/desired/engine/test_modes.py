"""A mode that the model cannot serve in is refused by its header: what was expected, what was found, what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.layouts import layout, llama

from llmkube.desired.engine.modes import LAST, MEAN, NONE, RANK, mode_remark, mode_trouble, pooling
from llmkube.desired.engine.plan import EnginePlan
from llmkube.desired.inference_plan import decided, remark
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.settings import OperatorSettings

Factory = Callable[..., Any]


@pytest.mark.parametrize(
    ("mode", "facts", "words"),
    [
        ("rerank", {"pooling": None}, ("a reranker", "cls.output.weight", "pooling none", "spec.modelRef")),
        ("rerank", {"pooling": MEAN}, ("pooling mean", "scores that mean nothing")),
        ("rerank", {"pooling": RANK}, ("pooling rank) and no such head", "name a reranker")),
        ("embedding", {"pooling": RANK, "head": True}, ("mean, cls or last", "pooling rank", "spec.mode to rerank")),
        ("embedding", {"pooling": None}, ("pooling none", "--pooling mean", "400 to /v1/embeddings")),
        ("embedding", {"pooling": NONE}, ("pooling none", "--pooling mean")),
        ("chat", {"architecture": "bert", "pooling": MEAN}, ("writes text", "(bert, pooling mean)", "to embedding")),
        ("chat", {"architecture": "bert", "pooling": RANK, "head": True}, ("set spec.mode to rerank", "500")),
    ],
)
def test_a_mode_that_would_answer_nothing_of_use_is_refused(
    mode: str, facts: dict[str, Any], words: tuple[str, ...], isvc_spec: Factory
) -> None:
    found = mode_trouble(isvc_spec(mode=mode), llama(**facts))
    assert found is not None
    assert found.reason == "ModeUnsupported"
    assert found.message.startswith("spec.mode: expected ")
    assert [word for word in (*words, "found Model tiny (", "The engine would") if word not in found.message] == []


@pytest.mark.parametrize(
    ("spec", "facts"),
    [
        ({"mode": "rerank"}, {"pooling": RANK, "head": True}),
        ({"mode": "rerank"}, {"pooling": None, "head": True}),
        ({"mode": "rerank", "extraArgs": ["--pooling", "rank"]}, {"pooling": MEAN, "head": True}),
        ({"mode": "embedding"}, {"pooling": MEAN}),
        ({"mode": "embedding"}, {"pooling": LAST}),
        ({"mode": "embedding", "extraArgs": ["--pooling", "none"]}, {"pooling": None}),
        ({"mode": "embedding", "extraArgs": ["--pooling", "rank", "--pooling", "cls"]}, {"pooling": RANK}),
        ({}, {"pooling": None}),
        ({}, {"pooling": LAST}),
        ({"mode": "rerank"}, {"architecture": "of-an-engine-of-ones-own"}),
    ],
)
def test_a_mode_that_the_model_serves_in_is_not(
    spec: dict[str, Any], facts: dict[str, Any], isvc_spec: Factory
) -> None:
    assert mode_trouble(isvc_spec(**spec), llama(**facts)) is None


@pytest.mark.parametrize("mode", ["chat", "embedding", "rerank"])
def test_nothing_is_said_of_a_model_whose_header_is_not_known(mode: str, isvc_spec: Factory) -> None:
    spec = isvc_spec(mode=mode)
    assert (mode_trouble(spec, None), mode_remark(spec, None)) == (None, None)


def test_another_pooling_than_that_which_ranks_is_refused_where_it_is_said(isvc_spec: Factory) -> None:
    found = mode_trouble(isvc_spec(mode="rerank", extraArgs=["--pooling", "mean"]), llama(head=True))
    assert found is not None
    assert found.message.startswith("spec.extraArgs: expected no --pooling but rank in the mode rerank, found mean; ")


def test_an_embedding_of_a_reranker_by_another_argument_is_refused_too(isvc_spec: Factory) -> None:
    spec = isvc_spec(mode="embedding", extraArgs=["--pooling", "rank"])
    assert "one number" in getattr(mode_trouble(spec, llama(pooling=MEAN)), "message", "")


@pytest.mark.parametrize(
    ("facts", "mode"), [({"pooling": LAST}, "embedding"), ({"pooling": 9, "head": True}, "rerank")]
)
def test_a_model_made_for_something_else_that_can_talk_is_served_and_that_is_said(
    facts: dict[str, Any], mode: str, isvc_spec: Factory
) -> None:
    found = mode_remark(isvc_spec(), llama(**facts))
    assert found is not None
    assert (found.reason, found.message.endswith(f"set spec.mode to {mode}")) == ("ModeUnusual", True)
    assert mode_remark(isvc_spec(mode=mode), llama(**facts)) is None
    assert mode_remark(isvc_spec(), llama()) is None


def test_the_pooling_is_what_is_said_last_or_the_modes_or_the_headers(isvc_spec: Factory) -> None:
    args = ["--temp", "1", "--pooling", "cls", "--pooling", "last"]
    assert pooling(isvc_spec(mode="embedding", extraArgs=args), llama(pooling=MEAN)) == LAST
    assert pooling(isvc_spec(mode="rerank"), llama(pooling=MEAN)) == RANK
    assert pooling(isvc_spec(mode="embedding"), llama(pooling=MEAN)) == MEAN
    assert pooling(isvc_spec(mode="embedding", extraArgs=["--pooling"]), None) is None


def test_a_text_that_is_pooled_otherwise_than_by_its_last_token_comes_in_one_batch(
    decision: Callable[..., Any],
) -> None:
    spec = {"mode": "embedding", "contextSize": 2048}
    assert decision(spec, pooling=LAST).batches == (None, None)
    assert decision(spec | {"extraArgs": ["--pooling", "mean"]}, pooling=LAST).batches == (2048, 2048)
    assert decision(spec | {"extraArgs": ["--pooling", "last"]}).batches == (None, None)


def test_what_is_decided_of_a_service_has_it(decision: Callable[..., Any]) -> None:
    assert decision({"mode": "rerank"}).reason == "ModeUnsupported"
    assert isinstance(decision({"mode": "rerank"}, head=True), EnginePlan)
    assert isinstance(decision({"mode": "rerank"}, packed=None), EnginePlan)


def test_what_is_remarked_of_a_service_has_it(
    isvc_spec: Factory, model_spec: Factory, model_status: Factory, resource: Factory, decision: Callable[..., Any]
) -> None:
    memory = model_status().memory.model_copy(update={"layout": layout(llama(pooling=MEAN))})
    found = remark(isvc_spec(), Served(resource(), model_spec(), model_status(memory=memory)), decision({}))
    assert found is not None
    assert found.reason == "ModeUnusual"


@pytest.fixture
def decision(
    isvc_spec: Factory,
    model_spec: Factory,
    model_status: Factory,
    resource: Factory,
    settings: OperatorSettings,
) -> Callable[..., Any]:
    def make(isvc: dict[str, Any], *, packed: str | None = "", **facts: Any) -> Any:
        text = layout(llama(**facts)) if packed == "" else packed
        status = model_status(memory=model_status().memory.model_copy(update={"layout": text}))
        return decided(isvc_spec(**isvc), Inputs(Served(resource(), model_spec(), status)), settings)

    return make
