"""Two YAML documents to tokens on a real cluster: real scheduler, kubelet, volumes, RBAC and Pod Security."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.conftest import Cluster

pytestmark = pytest.mark.timeout(600)
OPERATOR = ("kubectl", "-n", "llmkube-system")


@pytest.fixture(scope="module", autouse=True)
def quickstart(cluster: Cluster) -> None:
    cluster.apply(cluster.model("smollm2"), cluster.service("smollm2", "smollm2"))
    cluster.llmkube("wait", "smollm2", "--timeout", "150s")


def test_a_chat_through_the_api_servers_proxy_streams_tokens(cluster: Cluster) -> None:
    assert cluster.llmkube("chat", "smollm2", "Say hello.", "--max-tokens", "16").strip()


def test_the_model_says_what_was_verified_and_the_job_that_did_it_is_done(cluster: Cluster) -> None:
    status = cluster.get("model/smollm2")["status"]
    assert len(status["sha256"]) == 64
    assert status["gguf"]["architecture"]
    (job,) = cluster.get("jobs")["items"]
    assert job["status"]["succeeded"] == 1


def test_a_restarted_operator_writes_nothing(cluster: Cluster, until: Callable[..., Any]) -> None:
    before = cluster.versions()
    cluster.run(*OPERATOR, "delete", "pod", "-l", "app.kubernetes.io/component=operator")
    cluster.run(*OPERATOR, "rollout", "status", "deploy/llmkube-operator", "--timeout=120s")
    cluster.kubectl("annotate", "model", "smollm2", "e2e=seen")  # it is reconciled once the new operator leads
    cluster.apply(cluster.service("probe", "absent"))
    until(lambda: cluster.get("isvc/probe").get("status", {}), lambda status: bool(status.get("conditions")))
    cluster.kubectl("delete", "isvc/probe")
    after = cluster.versions()
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed <= {"Model/smollm2"}, "only the annotation"


def test_edits_reach_the_pods_and_back(cluster: Cluster, until: Callable[..., Any]) -> None:
    cluster.apply(cluster.service("smollm2", "smollm2", contextSize=1024))
    until(
        lambda: cluster.get("pods")["items"],
        lambda pods: any("1024" in (pod["spec"]["containers"][0].get("args") or ()) for pod in pods),
    )
    cluster.kubectl("rollout", "status", "deploy/smollm2", "--timeout=150s")
    cluster.kubectl("scale", "isvc/smollm2", "--replicas=0")
    until(lambda: cluster.get("isvc/smollm2")["status"], lambda status: status["phase"] == "Stopped")
    cluster.kubectl("scale", "isvc/smollm2", "--replicas=1")
    cluster.llmkube("wait", "smollm2", "--timeout", "150s")


def test_a_wrong_digest_fails_the_model_and_a_mended_one_heals(cluster: Cluster, until: Callable[..., Any]) -> None:
    cluster.apply(cluster.model("wrong", sha256="0" * 64))
    status = until(lambda: cluster.get("model/wrong").get("status", {}), lambda found: found.get("phase") == "Failed")
    assert any("0" * 64 in one["message"] for one in status["conditions"])
    cluster.apply(cluster.model("wrong"))
    cluster.llmkube("wait", "model/wrong", "--timeout", "150s")


def test_a_deleted_service_and_model_leave_nothing_behind(cluster: Cluster, until: Callable[..., Any]) -> None:
    cluster.llmkube("delete", "smollm2", "--with-model")
    cluster.kubectl("delete", "model", "wrong")
    until(cluster.versions, lambda left: left == {})
