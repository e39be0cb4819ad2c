"""What a service is for, with a real engine: documents are scored, texts embedded, and what cannot be is refused."""

from __future__ import annotations

import math
import urllib.error
from typing import TYPE_CHECKING

import pytest
from tests.component.local.local_mode import answer, asked, condition, model, service, until
from tests.component.local.text_models import CLS, LAST, MEAN, RANK, WIDTH, write_decoder, write_encoder

if TYPE_CHECKING:
    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode, Object

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
QUERY = "w1 w2"
DOCUMENTS = ["w3", "w1 w2", "w4 w5 w6", "w9 " * 40, "w2 w1"]
LONG = {"encoder": "w3 w4 w5 " * 400, "decoder": "w3 w4 w5 " * 80}
"""1200 tokens, of which a word has one or five: more than the engine's batch of 512, less than the 2048 of a slot."""


@pytest.fixture(scope="module")
def local(real_local: LocalMode) -> LocalMode:
    return real_local


@pytest.fixture(scope="module", autouse=True)
def written(local: LocalMode, models: ModelServer) -> None:
    """A Model of each file."""
    write_encoder(models.folder / "ranks.gguf", pooling=RANK, head=True)
    write_encoder(models.folder / "ranks-untold.gguf", pooling=None, head=True)
    write_encoder(models.folder / "headless.gguf", pooling=RANK)
    write_encoder(models.folder / "means.gguf", pooling=MEAN)
    write_encoder(models.folder / "firsts.gguf", pooling=CLS)
    write_decoder(models.folder / "asks.gguf", pooling=RANK, head=True)
    write_decoder(models.folder / "lasts.gguf", pooling=LAST)
    names = ("ranks", "ranks-untold", "headless", "means", "firsts", "asks", "lasts")
    local.apply(
        *(model(name, models.url(f"{name}.gguf")) for name in names), model("talks", models.url("smollm2.gguf"))
    )
    for name in (*names, "talks"):
        until(lambda name=name: local.model(name)["status"]["phase"], lambda phase: phase == "Ready")


def scores(endpoint: str, documents: list[str]) -> list[tuple[int, float]]:
    """Return the places of the documents and their scores, in the order of the answer."""
    found = asked(endpoint, "/v1/rerank", {"query": QUERY, "documents": documents})
    return [(each["index"], each["relevance_score"]) for each in found["results"]]


@pytest.mark.parametrize("name", ["ranks", "ranks-untold", "asks"])
def test_each_document_gets_a_score_and_the_best_comes_first(name: str, local: LocalMode) -> None:
    local.apply(service("ranked", name, mode="rerank", contextSize=4096, parallel=2))
    endpoint = local.until_ready("ranked")["status"]["endpoint"]
    found = scores(endpoint, DOCUMENTS)
    assert sorted(place for place, _ in found) == list(range(len(DOCUMENTS)))
    told = [score for _, score in found]
    assert told == sorted(told, reverse=True)
    assert len(set(told)) == len(DOCUMENTS), "other documents, other scores"
    assert [place for place, _ in scores(endpoint, DOCUMENTS)] == [place for place, _ in found]
    turned = scores(endpoint, DOCUMENTS[::-1])
    assert [len(DOCUMENTS) - 1 - place for place, _ in turned] == [place for place, _ in found]
    assert [score for _, score in turned] == pytest.approx(told, abs=1e-3)
    local.llmkube("delete", "ranked")


@pytest.mark.parametrize(("name", "kind"), [("ranks", "encoder"), ("asks", "decoder")])
def test_a_document_longer_than_the_engines_own_batch_is_scored_and_one_longer_than_a_slot_is_refused(
    name: str, kind: str, local: LocalMode
) -> None:
    local.apply(service("ranked", name, mode="rerank", contextSize=4096, parallel=2))
    endpoint = local.until_ready("ranked")["status"]["endpoint"]
    body = {"query": QUERY, "documents": [LONG[kind], "w3"], "top_n": 1}
    found = asked(endpoint, "/v1/rerank", body)
    assert found["usage"]["prompt_tokens"] > 1200
    assert len(found["results"]) == 1
    with pytest.raises(urllib.error.HTTPError) as caught:
        scores(endpoint, [LONG[kind] * 2])
    said = caught.value.read().decode()
    caught.value.close()
    assert "too large to process" in said or "exceeds the available context" in said
    assert len(scores(endpoint, [LONG[kind], "w3"])) == 2
    local.llmkube("delete", "ranked")


def test_a_reranker_is_deployed_from_flags_and_asked_as_they_tell(local: LocalMode, models: ModelServer) -> None:
    told = local.llmkube("deploy", "flags", "--source", models.url("ranks.gguf"), "--mode", "rerank").stdout
    endpoint = local.service("flags")["status"]["endpoint"]
    assert endpoint.endswith("/v1/rerank")
    assert f"curl -N {endpoint}" in told
    assert len(scores(endpoint, DOCUMENTS)) == len(DOCUMENTS)
    refused = local.llmkube("chat", "flags", "Hello!", check=False)
    assert (refused.returncode, "inferenceservice/flags serves reranks, not chat" in refused.stderr) == (1, True)
    local.llmkube("delete", "flags")


def test_what_a_reranker_asks_for_is_its_plan(local: LocalMode) -> None:
    local.apply(service("planned", "ranks", mode="rerank", contextSize=2048))
    plan = local.until_ready("planned")["status"]["plan"]
    (container,) = local.pods("planned")[0]["spec"]["containers"]
    words, host = container["args"], plan["memory"]["host"]
    assert container["resources"]["requests"]["memory"] == f"{-(-host // 2**20)}Mi"
    assert words[words.index("--ubatch-size") + 1] == words[words.index("--ctx-size") + 1] == "2048"
    assert words[words.index("--cache-ram") + 1] == "0"
    local.llmkube("delete", "planned")


@pytest.mark.parametrize(("name", "kind"), [("means", "encoder"), ("firsts", "encoder"), ("lasts", "decoder")])
def test_a_text_is_embedded_as_the_header_says(name: str, kind: str, local: LocalMode) -> None:
    local.apply(service("vectors", name, mode="embedding", contextSize=2048))
    endpoint = local.until_ready("vectors")["status"]["endpoint"]
    found = asked(endpoint, "/v1/embeddings", {"input": ["w1 w2", "w3", "w1 w2", LONG[kind]]})
    vectors = [each["embedding"] for each in found["data"]]
    assert [len(vector) for vector in vectors] == [WIDTH] * 4
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1.0] * 4, abs=1e-3)
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-3)
    assert vectors[0] != pytest.approx(vectors[1], abs=1e-2)
    local.llmkube("delete", "vectors")


def test_a_text_is_embedded_otherwise_where_the_person_says_so(local: LocalMode) -> None:
    spec = {"mode": "embedding", "contextSize": 2048, "extraArgs": ["--pooling", "mean"]}
    local.apply(service("otherwise", "lasts", **spec))
    found = asked(local.until_ready("otherwise")["status"]["endpoint"], "/v1/embeddings", {"input": LONG["decoder"]})
    assert found["usage"]["prompt_tokens"] > 1000
    local.llmkube("delete", "otherwise")


def degraded(local: LocalMode, name: str) -> Object:
    """Wait for what the service's condition says of the spec as it is now."""

    def told(found: Object) -> bool:
        degraded = condition(found.get("status", {}), "Degraded")
        return degraded.get("observedGeneration") == found["metadata"]["generation"]

    found: Object = until(lambda: local.service(name), told)
    return condition(found["status"], "Degraded")


@pytest.mark.parametrize(
    ("name", "spec", "words"),
    [
        ("talks", {"mode": "rerank"}, ("expected a reranker", "(llama, pooling none)", "spec.modelRef")),
        ("means", {"mode": "rerank"}, ("expected a reranker", "(bert, pooling mean)")),
        ("headless", {"mode": "rerank"}, ("(bert, pooling rank) and no such head",)),
        ("ranks", {"mode": "embedding"}, ("one vector of a text", "(bert, pooling rank)", "to rerank")),
        ("talks", {"mode": "embedding"}, ("one vector of a text", "(llama, pooling none)", "--pooling mean")),
        ("means", {}, ("writes text", "(bert, pooling mean)", "set spec.mode to embedding")),
        ("ranks", {}, ("writes text", "set spec.mode to rerank")),
    ],
)
def test_a_mode_that_the_model_cannot_serve_in_is_refused_before_pods_are_made(
    name: str, spec: Object, words: tuple[str, ...], local: LocalMode
) -> None:
    local.apply(service("wrong", name, **spec))
    found = degraded(local, "wrong")
    assert (found["status"], found["reason"]) == ("True", "ModeUnsupported")
    assert [word for word in words if word not in found["message"]] == []
    assert local.pods("wrong") == []
    local.llmkube("delete", "wrong")


def test_what_served_goes_on_when_the_mode_becomes_one_that_its_model_cannot_serve_in(local: LocalMode) -> None:
    local.apply(service("turned", "talks"))
    endpoint = local.until_ready("turned")["status"]["endpoint"]
    local.apply(service("turned", "talks", mode="rerank"))
    assert degraded(local, "turned")["reason"] == "ModeUnsupported"
    assert answer(endpoint)
    local.apply(service("turned", "ranks", mode="rerank"))
    endpoint = local.until_ready("turned")["status"]["endpoint"]
    until(lambda: len(scores(endpoint, DOCUMENTS)), lambda count: count == len(DOCUMENTS))  # once the old pod has gone
    local.llmkube("delete", "turned")


def test_a_model_made_to_embed_that_can_talk_is_served_and_that_is_said(local: LocalMode) -> None:
    local.apply(service("unusual", "lasts"))
    found = condition(local.until_ready("unusual")["status"], "Degraded")
    assert (found["status"], found["reason"]) == ("True", "ModeUnusual")
    assert "(qwen3, pooling last)" in found["message"]
    local.llmkube("delete", "unusual")
