"""What cannot work ends in one clear line, heals when the spec is mended, and disturbs nobody else."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.component.local.local_mode import answer, condition, model, service, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode, Object

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def conditions(found: Object) -> str:
    return yaml.safe_dump(found.get("status", {}).get("conditions", []))


def failed(local: LocalMode, name: str, *words: str) -> Object:
    """Wait until the model's conditions say every word."""
    told: Object = until(lambda: local.model(name), lambda found: all(word in conditions(found) for word in words))
    return told


@pytest.fixture(scope="module", autouse=True)
def neighbour(local: LocalMode, models: ModelServer) -> Callable[[], list[str]]:
    """A service that must go on answering."""
    local.apply(model("good", models.url("smollm2.gguf")), service("good", "good"))
    endpoint = local.until_ready("good")["status"]["endpoint"]
    return lambda: answer(endpoint)


def test_a_document_that_breaks_the_schema_is_refused_with_the_path(local: LocalMode, models: ModelServer) -> None:
    broken = model("broken", models.url("smollm2.gguf"))
    broken["spec"]["hardware"] = {"accelerator": "abacus"}
    done = local.llmkube("apply", "-f", "-", stdin=yaml.safe_dump(broken), check=False)
    assert done.returncode == 2
    assert "spec.hardware.accelerator" in done.stderr
    assert "abacus" in done.stderr


def test_a_wrong_digest_is_refused_and_a_mended_one_heals(
    local: LocalMode, models: ModelServer, neighbour: Callable[[], list[str]]
) -> None:
    wrong = model("digest", models.url("other.gguf"), sha256="0" * 64)
    local.apply(wrong)
    found = failed(local, "digest", "DigestMismatch", "0" * 64)
    assert found["status"]["phase"] == "Failed"
    assert neighbour()
    mended = copy.deepcopy(wrong)
    del mended["spec"]["sha256"]
    local.apply(mended)
    healed = until(lambda: local.model("digest"), lambda each: each["status"]["phase"] == "Ready")
    assert condition(healed["status"], "Available")["status"] == "True"


def test_a_truncated_file_is_refused_before_it_is_downloaded(local: LocalMode, models: ModelServer) -> None:
    local.apply(model("cut", models.url("cut.gguf")))
    found = failed(local, "cut", "Truncated")
    assert found["status"]["phase"] == "Failed"
    assert local.items("apis/batch/v1/namespaces/default/jobs?labelSelector=app.kubernetes.io/instance=cut") == []


def test_an_html_page_is_refused_for_what_it_is(local: LocalMode, models: ModelServer) -> None:
    local.apply(model("page", models.url("page.gguf")))
    found = failed(local, "page", "HTML")
    assert found["status"]["phase"] == "Failed"


def test_an_absent_file_says_the_http_status(local: LocalMode, models: ModelServer) -> None:
    local.apply(model("absent", models.url("absent.gguf")))
    failed(local, "absent", "404")


def test_an_unreachable_host_backs_off_and_heals_when_the_source_is_mended(
    local: LocalMode, models: ModelServer, neighbour: Callable[[], list[str]]
) -> None:
    local.apply(model("away", "http://127.0.0.1:9/model.gguf"))
    failed(local, "away", "127.0.0.1:9")
    assert neighbour()
    local.apply(model("away", models.url("smollm2.gguf")))
    until(lambda: local.model("away"), lambda found: found["status"]["phase"] == "Ready")


def test_a_service_without_its_model_waits_and_starts_when_the_model_comes(
    local: LocalMode, models: ModelServer
) -> None:
    local.apply(service("early", "late"))
    waiting = until(lambda: local.service("early"), lambda found: "late" in conditions(found))
    assert waiting["status"]["phase"] == "WaitingForModel"
    local.apply(model("late", models.url("smollm2.gguf")))
    assert answer(local.until_ready("early")["status"]["endpoint"])
    local.llmkube("delete", "early")


def test_a_service_whose_model_is_no_longer_ready_serves_on_and_can_be_scaled(
    local: LocalMode, models: ModelServer
) -> None:
    url = models.url("smollm2.gguf")
    local.apply(model("broken", url), service("steady", "broken"))
    endpoint = local.until_ready("steady")["status"]["endpoint"]
    local.apply(model("broken", url, sha256="0" * 64))
    failed(local, "broken", "DigestMismatch")
    assert answer(endpoint)
    for replicas in (0, 1):
        local.llmkube("scale", "steady", "--replicas", str(replicas))
        until(lambda: len(local.pods("steady")), lambda found, wanted=replicas: found == wanted)
        until(
            lambda: local.service("steady")["status"]["readyReplicas"], lambda ready, wanted=replicas: ready == wanted
        )
    assert condition(local.service("steady")["status"], "ModelReady")["status"] == "False"
    assert answer(endpoint)
    local.llmkube("delete", "steady", "model/broken")


def test_a_claim_that_is_not_there_is_named(local: LocalMode, models: ModelServer) -> None:
    local.apply(model("unclaimed", models.url("smollm2.gguf"), cache={"mode": "Existing", "claimName": "nowhere"}))
    failed(local, "unclaimed", "nowhere")


def refused(local: LocalMode, name: str, reason: str, *words: str) -> None:
    """Wait until the service's condition says why it is not run as it is asked for."""

    def told(found: Object) -> bool:
        degraded = condition(found.get("status", {}), "Degraded")
        is_new = degraded.get("observedGeneration") == found["metadata"]["generation"]
        return is_new and degraded["reason"] == reason and all(word in degraded["message"] for word in words)

    until(lambda: local.service(name), told)


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"extraArgs": ["--temp", "1", "--no-warmpu"]}, "ExtraArgsRefused", ("spec.extraArgs[2]", "--no-warmup?")),
        ({"extraArgs": ["--ctx-size", "9"]}, "ExtraArgsRefused", ("spec.extraArgs[0]", "contextSize")),
        ({"image": "mirror/llama.cpp:server-cuda-b11669"}, "ImageMismatch", ("spec.image", "cuda", "cpu")),
        ({"resources": {"gpu": 1}}, "NoAccelerator", ("spec.resources.gpu", "found 1")),
    ],
)
def test_what_the_engine_cannot_be_run_with_is_refused_by_its_path_and_what_runs_goes_on(
    spec: Object, reason: str, words: tuple[str, ...], local: LocalMode, models: ModelServer
) -> None:
    local.apply(model("tried", models.url("smollm2.gguf")), service("tried", "tried"))
    endpoint = local.until_ready("tried")["status"]["endpoint"]
    local.apply(service("tried", "tried", **spec))
    refused(local, "tried", reason, *words)
    assert answer(endpoint)
    local.apply(service("tried", "tried"))
    assert condition(local.until_ready("tried")["status"], "Degraded")["status"] == "False"


def test_what_is_done_otherwise_than_asked_for_is_said_while_it_serves(local: LocalMode) -> None:
    asked = {"contextSize": 1_000_000, "resources": {"memory": "10Mi"}}
    local.apply(service("modest", "good", **asked))
    found = local.until_ready("modest")["status"]
    assert condition(found, "Degraded")["reason"] == "ContextClamped"
    assert (found["plan"]["contextSize"], found["plan"]["gpuLayers"]) == (8192, 0)
    assert found["plan"]["message"].startswith("All 31 layers on the CPU; ")
    local.apply(service("modest", "good", resources={"memory": "10Mi"}))
    refused(local, "modest", "MemoryRaised", "spec.resources.memory", "10Mi asked for")
    local.llmkube("delete", "modest")


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"resources": {"memory": "1e1000"}}, "spec.resources.memory"),
        ({"flashAttention": "off", "cacheTypeV": "q8_0"}, "spec.cacheTypeV"),
        ({"endpoint": {"port": 70000}}, "spec.endpoint.port"),
        ({"extraArgs": ["--port", "9000"]}, "spec.extraArgs"),
        ({"env": [{"name": "LLAMA_ARG_PORT", "value": "9000"}]}, "spec.env[0].name"),
        ({"parallel": 0}, "spec.parallel"),
    ],
)
def test_what_the_schema_forbids_is_refused_with_the_path_before_it_is_stored(
    spec: Object, path: str, local: LocalMode
) -> None:
    done = local.llmkube("apply", "-f", "-", stdin=yaml.safe_dump(service("never", "good", **spec)), check=False)
    assert done.returncode != 0
    assert path in done.stderr
    sent = local.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(service("never", "good", **spec)), check=False)
    assert path in sent.stderr
