"""What an InferenceService runs beside its model, with a real engine: drafts and adapters, and each of them wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.component.local.inputs import answers, ask, config_map, degraded, template_of, text
from tests.component.local.local_mode import condition, model, service, until
from tests.component.local.lora import WIDTH, write_adapter

if TYPE_CHECKING:
    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode, Object

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400), pytest.mark.usefixtures("neighbour")]


@pytest.fixture(scope="module")
def local(watchful_local: LocalMode) -> LocalMode:
    return watchful_local


def test_a_draft_drafts_and_the_answer_is_the_models_own(local: LocalMode, models: ModelServer, steady: str) -> None:
    (models.folder / "draft.gguf").symlink_to((models.folder / "smollm2.gguf").resolve())
    local.apply(
        model("small", models.url("draft.gguf")),
        service("drafted", "tiny", speculative={"draftModelRef": "small", "maxTokens": 4, "minTokens": 1}),
    )
    found = ask(local.until_ready("drafted")["status"]["endpoint"], tokens=12)
    assert text(found) == text(ask(steady, tokens=12))
    assert found["timings"]["draft_n"] > 0
    assert found["timings"]["draft_n_accepted"] == found["timings"]["draft_n"], "the very model drafts for itself"
    local.llmkube("delete", "drafted")


def test_a_draft_that_is_not_ready_is_named_and_waited_for(local: LocalMode, models: ModelServer) -> None:
    local.apply(service("early", "tiny", speculative={"draftModelRef": "late"}))
    until(lambda: local.service("early")["status"], lambda status: status["phase"] == "WaitingForModel")
    told = condition(local.service("early")["status"], "ModelReady")
    assert (told["reason"], "spec.speculative.draftModelRef: expected a Model late" in told["message"]) == (
        "ModelNotFound",
        True,
    )
    local.apply(model("late", models.url("smollm2.gguf")))
    local.until_ready("early")
    local.llmkube("delete", "early")


def test_other_bytes_of_a_draft_replace_the_pods_and_the_old_ones_are_collected(
    local: LocalMode, models: ModelServer
) -> None:
    local.apply(
        model("renewed", models.url("smollm2.gguf")),
        service("renewed", "tiny", speculative={"draftModelRef": "renewed"}),
    )
    local.until_ready("renewed")
    before = local.model("renewed")["status"]["sha256"]
    local.apply(model("renewed", models.url("other.gguf")))
    status = until(
        lambda: local.model("renewed")["status"],
        lambda found: found["phase"] == "Ready" and found["sha256"] != before and not found.get("retained"),
    )
    found = ask(local.until_ready("renewed")["status"]["endpoint"], tokens=6)
    assert found["timings"]["draft_n_accepted"] > 0
    annotations = template_of(local, "renewed")["metadata"]["annotations"]
    assert annotations["inference.llmkube.dev/further-sha256"] == f"models-1={status['sha256']}"
    local.llmkube("delete", "renewed", "model/renewed")


def test_a_draft_with_another_vocabulary_is_refused_before_pods_are_made(local: LocalMode, models: ModelServer) -> None:
    content = bytearray((models.folder / "smollm2.gguf").read_bytes())
    at = content.find("Ġhello".encode(), content.find(b"tokenizer.ggml.tokens"))
    content[at + 2 : at + 3] = b"j"
    (models.folder / "foreign.gguf").write_bytes(content)
    local.apply(
        model("foreign", models.url("foreign.gguf")),
        service("mixed", "tiny", speculative={"draftModelRef": "foreign"}),
    )
    message = degraded(local, "mixed", "DraftVocabularyDiffers")
    assert "gpt2, 49152 tokens of digest" in message
    assert local.pods("mixed") == []
    local.llmkube("delete", "mixed")


def test_adapters_are_fetched_and_each_request_says_which_it_wants(
    local: LocalMode, models: ModelServer, steady: str
) -> None:
    for seed, name in enumerate(("pirate", "haiku")):
        write_adapter(models.folder / f"{name}.gguf", seed=seed + 1)
    adapters = [{"name": name, "source": models.url(f"{name}.gguf")} for name in ("pirate", "haiku")]
    local.apply(service("tuned", "tiny", loraAdapters=adapters))
    endpoint = local.until_ready("tuned")["status"]["endpoint"]
    plain = text(ask(steady))
    assert text(ask(endpoint)) == plain, "loaded, and not applied"
    tuned = [text(ask(endpoint, lora=[{"id": number, "scale": 1.0}])) for number in (0, 1)]
    assert len({plain, *tuned}) == 3
    assert text(ask(endpoint)) == plain, "the prompt that was read with an adapter is not gone on from"
    children = [each for each in adapter_models(local) if each["status"]["phase"] == "Ready"]
    assert sorted(each["metadata"]["labels"]["inference.llmkube.dev/adapter"] for each in children) == [
        "haiku",
        "pirate",
    ]
    local.apply(service("tuned", "tiny", loraAdapters=[adapters[1]]))
    until(lambda: len(adapter_models(local)), lambda count: count == 1)
    local.until_ready("tuned")
    local.llmkube("delete", "tuned")
    until(lambda: adapter_models(local), lambda left: left == [])


def adapter_models(local: LocalMode) -> list[Object]:
    found = local.items("apis/inference.llmkube.dev/v1alpha1/namespaces/default/models")
    return [each for each in found if "inference.llmkube.dev/adapter" in each["metadata"].get("labels", {})]


def test_an_adapter_of_another_architecture_is_said_while_the_running_pods_go_on(
    local: LocalMode, models: ModelServer
) -> None:
    local.apply(service("kept", "tiny"))
    endpoint = local.until_ready("kept")["status"]["endpoint"]
    before = template_of(local, "kept")
    write_adapter(models.folder / "qwen.gguf", architecture="qwen2")
    local.apply(service("kept", "tiny", loraAdapters=[{"name": "qwen", "source": models.url("qwen.gguf")}]))
    message = degraded(local, "kept", "AdapterArchitectureDiffers")
    assert "expected an adapter for the architecture llama, found one for qwen2" in message
    local.apply(service("kept", "tiny", loraAdapters=[{"name": "model", "source": models.url("smollm2.gguf")}]))
    assert "found model in" in degraded(local, "kept", "NotAnAdapter")
    local.apply(service("kept", "tiny", loraAdapters=[{"name": "gone", "source": models.url("no-such.gguf")}]))
    message = degraded(local, "kept", "ModelFailed")
    assert message.startswith("spec.loraAdapters[gone]: Model kept-gone-lora-")
    assert "404" in message
    assert (template_of(local, "kept"), answers(endpoint)) == (before, True)
    local.llmkube("delete", "kept")


def test_what_only_the_engine_can_tell_ends_the_new_pods_and_leaves_the_old(
    local: LocalMode, models: ModelServer
) -> None:
    """An adapter for another model of the same architecture, and a template that is none."""
    local.apply(service("proven", "tiny"))
    endpoint = local.until_ready("proven")["status"]["endpoint"]
    write_adapter(models.folder / "wide.gguf", width=WIDTH - 64)
    local.apply(service("proven", "tiny", loraAdapters=[{"name": "wide", "source": models.url("wide.gguf")}]))
    crashed(local, "proven", endpoint)
    local.apply(config_map("broken", **{"chat-template.jinja": "{% for m in messages %}{{ m.content }"}))
    local.apply(service("proven", "tiny", chatTemplateRef={"name": "broken"}))
    crashed(local, "proven", endpoint)
    local.llmkube("delete", "proven")


def crashed(local: LocalMode, name: str, endpoint: str) -> None:
    """Wait until new pods have said that they end, while the old ones answer."""
    generation = local.service(name)["metadata"]["generation"]
    told = until(
        lambda: condition(local.service(name)["status"], "Degraded"),
        lambda found: found["observedGeneration"] == generation and "exit code" in found["message"],
    )
    assert told["status"] == "True"
    assert answers(endpoint)


def test_a_model_whose_file_is_an_adapter_is_not_served(local: LocalMode, models: ModelServer) -> None:
    write_adapter(models.folder / "alone.gguf")
    local.apply(model("alone", models.url("alone.gguf")), service("alone", "alone"))
    assert "spec.loraAdapters" in degraded(local, "alone", "NotAModel")
    assert local.pods("alone") == []
    local.llmkube("delete", "alone", "model/alone")
