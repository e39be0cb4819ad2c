"""From two YAML documents to tokens, and everything a person changes afterwards, on local mode with a real engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.component.local.local_mode import answer, condition, model, service, until

if TYPE_CHECKING:
    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode, Object

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def arguments(pod: Object) -> list[str]:
    found: list[str] = pod["spec"]["containers"][0]["args"]
    return found


def versions(local: LocalMode) -> dict[str, str]:
    """Return the resourceVersion of every object that the operator could write."""
    paths = (
        "apis/inference.llmkube.dev/v1alpha1/models",
        "apis/inference.llmkube.dev/v1alpha1/inferenceservices",
        "apis/apps/v1/deployments",
        "apis/batch/v1/jobs",
        "api/v1/services",
        "api/v1/persistentvolumeclaims",
        "api/v1/namespaces/default/pods",
        "apis/events.k8s.io/v1/namespaces/default/events",
    )
    return {
        f"{path}/{item['metadata'].get('namespace')}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for path in paths
        for item in local.items(path)
        if item["metadata"].get("namespace") == "default"
    }


def restart_operator(local: LocalMode) -> None:
    """Delete the operator's pod and wait until another one is ready."""
    path = "api/v1/namespaces/llmkube-system/pods"
    before = {pod["metadata"]["uid"] for pod in local.items(path)}
    local.delete(path)

    def replaced(pods: list[Object]) -> bool:
        return any(
            pod["metadata"]["uid"] not in before and condition(pod["status"], "Ready").get("status") == "True"
            for pod in pods
        )

    until(lambda: local.items(path), replaced)


@pytest.fixture(scope="module", autouse=True)
def quickstart(local: LocalMode, models: ModelServer) -> None:
    """One model and one service, ready."""
    local.apply(model("smollm2", models.url("smollm2.gguf")), service("smollm2", "smollm2"))
    local.until_ready("smollm2")


def test_two_documents_become_streamed_tokens(local: LocalMode) -> None:
    pieces = answer(local.service("smollm2")["status"]["endpoint"])
    assert len(pieces) >= 4, pieces
    assert "".join(pieces).strip()


def test_the_header_is_read_by_range_before_anything_is_downloaded(models: ModelServer) -> None:
    first = next(header for method, header in models.requests if method == "GET")
    assert first is not None
    assert first.startswith("bytes=0-")


def test_the_status_of_the_model_tells_its_facts_and_its_verified_digest(local: LocalMode, smollm2: object) -> None:
    status = local.model("smollm2")["status"]
    assert status["sha256"] == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert status["gguf"]["architecture"] == "llama"
    assert status["sizeBytes"] == 98_362_432
    assert condition(status, "Available")["status"] == "True"


def test_a_converged_system_makes_no_writes_also_when_the_operator_restarts(local: LocalMode) -> None:
    before, engine = versions(local), local.pods("smollm2")[0]["status"]["containerStatuses"][0]["containerID"]
    restart_operator(local)
    answer(local.service("smollm2")["status"]["endpoint"])
    assert versions(local) == before
    assert local.pods("smollm2")[0]["status"]["containerStatuses"][0]["containerID"] == engine


def test_an_edited_context_size_reaches_the_engine(local: LocalMode, models: ModelServer) -> None:
    local.apply(service("smollm2", "smollm2", contextSize=1024))

    def rolled(pods: list[Object]) -> bool:
        return len(pods) == 1 and "1024" in arguments(pods[0])

    until(lambda: local.pods("smollm2"), rolled)
    local.until_ready("smollm2")
    assert answer(local.service("smollm2")["status"]["endpoint"])


def test_replicas_go_to_zero_and_to_two_and_back(local: LocalMode) -> None:
    local.llmkube("scale", "smollm2", "--replicas", "0")
    stopped = until(lambda: local.service("smollm2"), lambda isvc: isvc["status"]["phase"] == "Stopped")
    assert stopped["status"].get("readyReplicas", 0) == 0
    until(lambda: local.pods("smollm2"), lambda pods: pods == [])
    local.llmkube("scale", "smollm2", "--replicas", "2")
    ready = local.until_ready("smollm2", replicas=2)
    assert answer(ready["status"]["endpoint"])
    local.llmkube("scale", "smollm2", "--replicas", "1")
    local.until_ready("smollm2")


def test_two_services_of_two_models_answer_at_once(local: LocalMode, models: ModelServer) -> None:
    local.apply(model("second", models.url("other.gguf")), service("second", "second"))
    second = local.until_ready("second")
    assert second["status"]["endpoint"] != local.service("smollm2")["status"]["endpoint"]
    assert answer(second["status"]["endpoint"])
    assert answer(local.service("smollm2")["status"]["endpoint"])


def test_another_source_serves_the_old_bytes_until_the_new_are_verified_and_then_rolls(
    local: LocalMode, models: ModelServer
) -> None:
    before = local.model("smollm2")["status"]["sha256"]
    local.apply(model("smollm2", models.url("other.gguf")))
    changed = until(lambda: local.model("smollm2"), lambda found: found["status"].get("sha256") not in {None, before})
    digest = changed["status"]["sha256"]

    def serves(pods: list[Object]) -> bool:
        return [pod["metadata"]["annotations"]["inference.llmkube.dev/model-sha256"] for pod in pods] == [digest]

    until(lambda: local.pods("smollm2"), serves)
    assert answer(local.until_ready("smollm2")["status"]["endpoint"])


def test_list_and_status_say_what_is_there(local: LocalMode) -> None:
    listed = json.loads(local.llmkube("list", "services", "-o", "json").stdout)
    assert {"smollm2", "second"} <= {item["metadata"]["name"] for item in listed["items"]}
    said = local.llmkube("status", "smollm2").stdout
    assert "Ready" in said
    assert "smollm2" in said


def test_chat_talks_to_the_service(local: LocalMode) -> None:
    assert local.llmkube("chat", "smollm2", "Say hello.", "--max-tokens", "12").stdout.strip()


def test_a_deleted_service_and_model_leave_nothing_behind(local: LocalMode, models: ModelServer) -> None:
    local.apply(model("brief", models.url("other.gguf")), service("brief", "brief"))
    local.until_ready("brief")
    local.llmkube("delete", "brief", "--with-model")
    until(lambda: local.pods("brief"), lambda pods: pods == [])
    selector = "labelSelector=app.kubernetes.io/instance=brief"
    paths = (
        "apis/apps/v1/deployments",
        "api/v1/services",
        "apis/batch/v1/jobs",
        "api/v1/persistentvolumeclaims",
    )
    until(lambda: [item for path in paths for item in local.items(f"{path}?{selector}")], lambda items: items == [])
