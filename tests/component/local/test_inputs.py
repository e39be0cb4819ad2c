"""What an InferenceService refers to, with a real engine: drafts, adapters, templates, keys; and each of them wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from tests.component.local.local_mode import (
    LocalMode,
    ModelServer,
    Object,
    condition,
    model,
    service,
    until,
)
from tests.component.local.lora import WIDTH, write_adapter
from tests.component.local.streams import Load

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

SHOUT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\nAYE"
)
"""Ends in the first word of the answer."""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMode]:
    """Local mode whose operator looks at Secrets and ConfigMaps every second."""
    mode = LocalMode(tmp_path_factory.mktemp("home"))
    mode.environment["LLMKUBE_REFERENCE_INTERVAL"] = "1"
    try:
        mode.llmkube("local", "up")
        yield mode
    finally:
        mode.llmkube("local", "reset", "--yes", check=False)


@pytest.fixture(scope="module")
def steady(local: LocalMode, models: ModelServer) -> str:
    """The endpoint of a neighbour that serves all the while."""
    local.apply(model("tiny", models.url("smollm2.gguf")), service("steady", "tiny"))
    endpoint: str = local.until_ready("steady")["status"]["endpoint"]
    return endpoint


@pytest.fixture(autouse=True)
def neighbour(steady: str) -> Iterator[None]:
    yield
    assert answers(steady), "the neighbour does not answer any more"


def ask(endpoint: str, *, key: str = "", tokens: int = 8, **further: Any) -> Object:
    """Return a real answer, at temperature 0."""
    said = [{"role": "user", "content": "Say hello."}]
    body = {"messages": said, "max_tokens": tokens, "temperature": 0, **further}
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    url = f"{endpoint.partition('/v1')[0]}/v1/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=90) as found:
        answered: Object = json.load(found)
    return answered


def answers(endpoint: str, key: str = "") -> bool:
    return ask(endpoint, key=key, tokens=1)["usage"]["completion_tokens"] == 1


def text(answered: Object) -> str:
    said: str = answered["choices"][0]["message"]["content"]
    return said


def refused(endpoint: str, key: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(endpoint, key=key, tokens=1)
    caught.value.close()
    return caught.value.code


def secret(name: str, **entries: str) -> Object:
    encoded = {key.replace("_", "-"): base64.b64encode(text.encode()).decode() for key, text in entries.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(name), "data": encoded}


def config_map(name: str, **entries: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name), "data": entries}


def metadata(name: str) -> Object:
    return {"name": name, "namespace": "default"}


def degraded(local: LocalMode, name: str, reason: str) -> str:
    """Wait until the condition gives this reason; return what it says."""
    found = until(
        lambda: condition(local.service(name).get("status", {}), "Degraded"),
        lambda found: found.get("reason") == reason,
    )
    message: str = found["message"]
    return message


def template_of(local: LocalMode, name: str) -> Object:
    found: Object = local.get("apis/apps/v1/namespaces/default/deployments", name)["spec"]["template"]
    return found


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


def test_a_template_is_the_engines_and_another_text_replaces_the_pods(local: LocalMode, steady: str) -> None:
    local.apply(service("styled", "tiny", chatTemplateRef={"name": "style"}))
    assert "expected ConfigMap style, found none" in degraded(local, "styled", "ConfigMapNotFound")
    local.apply(config_map("style", other="x"))
    assert "a key chat-template.jinja in ConfigMap style, found other" in degraded(
        local, "styled", "ConfigMapKeyNotFound"
    )
    local.apply(config_map("style", **{"chat-template.jinja": SHOUT}))
    endpoint = local.until_ready("styled")["status"]["endpoint"]
    counted = ask(endpoint)["usage"]["prompt_tokens"]
    first = template_of(local, "styled")
    local.apply(config_map("style", **{"chat-template.jinja": f"{SHOUT}, matey, it is me"}))
    until(lambda: template_of(local, "styled"), lambda found: found != first)
    local.until_ready("styled")
    until(lambda: ask(endpoint)["usage"]["prompt_tokens"], lambda found: found > counted)
    local.llmkube("delete", "styled")


def test_keys_rotate_and_a_secret_that_goes_wrong_stops_nobody(local: LocalMode) -> None:
    local.apply(service("locked", "tiny", auth={"secretRef": {"name": "keys"}}))
    assert "expected Secret keys, found none" in degraded(local, "locked", "SecretNotFound")
    assert local.pods("locked") == []
    local.apply(secret("keys", api_keys="# ours\nfirst-key\nsecond-key\n"))
    endpoint = local.until_ready("locked")["status"]["endpoint"]
    assert [answers(endpoint, key) for key in ("first-key", "second-key")] == [True, True]
    assert [refused(endpoint, key) for key in ("", "third-key", "# ours")] == [401, 401, 401]
    local.apply(secret("keys", api_keys="second-key\nthird-key\n"))
    until(lambda: answers(endpoint, "third-key"), bool)
    local.until_ready("locked")
    assert answers(endpoint, "second-key")
    until(lambda: refused(endpoint, "first-key"), lambda code: code == 401)
    rotated = template_of(local, "locked")
    for wrong, reason in (("", "SecretEmpty"), ("\n# none\n", "NoAPIKeys"), ("third-key\r\n", "APIKeysUnusable")):
        local.apply(secret("keys", api_keys=wrong))
        assert "spec.auth.secretRef" in degraded(local, "locked", reason)
    local.delete("api/v1/namespaces/default/secrets/keys")
    degraded(local, "locked", "SecretNotFound")
    assert (template_of(local, "locked"), answers(endpoint, "third-key")) == (rotated, True)
    told = json.dumps([local.service("locked"), local.pods("locked"), rotated])
    assert [key for key in ("first-key", "second-key", "third-key") if key in told] == []
    local.llmkube("delete", "locked")


async def test_a_key_that_stays_loses_no_stream_while_the_others_rotate(local: LocalMode) -> None:
    local.apply(secret("rotated", api_keys="first-key\nsecond-key\n"))
    local.apply(service("rotated", "tiny", parallel=4, auth={"secretRef": {"name": "rotated"}}))
    endpoint = (await asyncio.to_thread(local.until_ready, "rotated"))["status"]["endpoint"]
    before = template_of(local, "rotated")
    load = Load(endpoint.partition("/v1")[0], key="second-key", enough=24)
    running = asyncio.create_task(load.run())
    await asyncio.to_thread(until, lambda: load.total, lambda count: count > 4)
    assert load.in_flight > 0
    local.apply(secret("rotated", api_keys="second-key\nthird-key\n"))
    await asyncio.to_thread(until, lambda: template_of(local, "rotated"), lambda found: found != before)
    await asyncio.to_thread(local.until_ready, "rotated")
    load.stopping.set()
    await running
    assert (load.ended["lost"], load.ended["truncated"]) == (0, 0), f"{dict(load.ended)}; {load.errors[:5]}"
    assert await asyncio.to_thread(answers, endpoint, "third-key")
    local.llmkube("delete", "rotated")


def test_a_variable_whose_secret_is_missing_is_named_while_the_running_pods_go_on(local: LocalMode) -> None:
    local.apply(service("told", "tiny"))
    endpoint = local.until_ready("told")["status"]["endpoint"]
    variable = {"name": "WHO", "valueFrom": {"secretKeyRef": {"name": "nobody", "key": "who"}}}
    local.apply(service("told", "tiny", env=[variable]))
    assert "spec.env[WHO].valueFrom.secretKeyRef: expected Secret nobody" in degraded(local, "told", "SecretNotFound")
    assert answers(endpoint)
    local.apply(secret("nobody", who="me"))
    local.until_ready("told")
    local.llmkube("delete", "told")
