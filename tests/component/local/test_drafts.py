"""Drafts that read what their model computes (EAGLE-3, DFlash), with a real engine: they draft, or are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.component.local.eagle import write_dflash, write_eagle
from tests.component.local.local_mode import answer, asked, condition, model, service, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode, Object

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
MESSAGES = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def local(real_local: LocalMode) -> LocalMode:
    return real_local


@pytest.fixture(scope="module")
def large(models: ModelServer) -> Path:
    return (models.folder / "smollm2.gguf").resolve()


@pytest.fixture(scope="module")
def alone(local: LocalMode, models: ModelServer) -> Object:
    """What the model says without any draft."""
    local.apply(model("tiny", models.url("smollm2.gguf")), service("alone", "tiny"))
    return said(local.until_ready("alone")["status"]["endpoint"])


def said(endpoint: str) -> Object:
    return asked(endpoint, "/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 12, "temperature": 0})


@pytest.mark.parametrize("kind", ["eagle3", "dflash"])
def test_a_draft_that_reads_what_the_model_computes_drafts_and_the_answer_is_the_models_own(
    kind: str, local: LocalMode, models: ModelServer, alone: Object, large: Path
) -> None:
    write = {"eagle3": write_eagle, "dflash": write_dflash}[kind]
    write(models.folder / f"{kind}.gguf", large)
    speculative = {"draftModelRef": kind, "maxTokens": 4}
    local.apply(model(kind, models.url(f"{kind}.gguf")), service(f"{kind}-drafts", "tiny", speculative=speculative))
    found = said(local.until_ready(f"{kind}-drafts")["status"]["endpoint"])
    assert found["choices"][0]["message"]["content"] == alone["choices"][0]["message"]["content"]
    assert found["timings"]["draft_n"] > 0
    (container,) = local.pods(f"{kind}-drafts")[0]["spec"]["containers"]
    assert container["args"][container["args"].index("--spec-type") + 1] == f"draft-{kind}"
    local.llmkube("delete", f"{kind}-drafts")


def test_a_draft_made_for_another_model_is_refused_while_what_serves_goes_on(
    local: LocalMode, models: ModelServer, alone: Object, large: Path
) -> None:
    write_eagle(models.folder / "narrow.gguf", large, width=288)
    local.apply(model("narrow", models.url("narrow.gguf")))
    local.apply(service("alone", "tiny", speculative={"draftModelRef": "narrow"}))
    found = until(
        lambda: condition(local.service("alone")["status"], "Degraded"),
        lambda told: told.get("reason") == "DraftTargetDiffers",
    )
    assert "expected a draft made for tiny (576 numbers for a token and 30 layers)" in found["message"]
    assert "found narrow (eagle3), made for one of 288 numbers" in found["message"]
    assert answer(local.service("alone")["status"]["endpoint"])
    local.apply(service("alone", "tiny"))
    local.until_ready("alone")


def test_a_draft_is_no_model_of_its_own(local: LocalMode, models: ModelServer, large: Path) -> None:
    write_eagle(models.folder / "lonely.gguf", large)
    local.apply(model("lonely", models.url("lonely.gguf")), service("lonely", "lonely"))
    found = until(
        lambda: condition(local.service("lonely")["status"], "Degraded"),
        lambda told: told.get("reason") == "NotAModel",
    )
    assert (
        "lonely, which only drafts for another (eagle3); name it in spec.speculative.draftModelRef" in found["message"]
    )
    assert local.pods("lonely") == []
    local.llmkube("delete", "lonely", "model/lonely")
