"""Two documents become what serves them; nothing is written when nothing differs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.component.operator.conftest import COLLECTED, is_ready
from tests.component.operator.process import Operator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.plane import Plane

MADE = ("deployments", "services", "persistentvolumeclaims", "jobs")


def versions(api: Api, namespace: str) -> dict[str, str]:
    return {
        f"{resource}/{each['metadata']['name']}": each["metadata"]["resourceVersion"]
        for resource in (*MADE, "models", "inferenceservices")
        for each in api.items(resource, namespace)
    }


def test_two_documents_become_a_claim_a_job_a_deployment_and_a_service(
    api: Api, here: str, serving: Callable[..., Object]
) -> None:
    service = serving()
    assert {resource: len(api.items(resource, here)) for resource in MADE} == dict.fromkeys(MADE, 1)
    assert service["status"]["readyReplicas"] == 1
    assert api.get("models", here, "chat")["status"]["phase"] == "Ready"
    for resource in MADE:
        (owner,) = api.items(resource, here)[0]["metadata"]["ownerReferences"]
        assert owner["controller"] is True


def test_a_converged_operator_writes_nothing_also_after_a_restart(
    plane: Plane, api: Api, here: str, serving: Callable[..., Object], operator: Operator, until: Until, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        serving(name)
    sent = operator.settled()
    before = versions(api, here)
    done = reconciles(operator)
    api.patch("models", here, "one", {"metadata": {"annotations": {"seen": "yes"}}})
    until(lambda: reconciles(operator), lambda found: found > done)
    assert operator.settled() == sent
    assert operator.stop() == 0
    with Operator(plane.kubeconfig, tmp_path / "again.log", "--no-leader-elect", "--namespace", here) as again:
        again.until_ready()
        until(lambda: reconciles(again), lambda found: found >= 6)
        until(lambda: again.metric("workqueue_depth"), lambda depth: depth == 0)
        assert again.settled() == 0
        assert again.metric("controller_runtime_reconcile_errors_total") == 0
    after = versions(api, here)
    assert {name for name in before if before[name] != after[name]} == {"models/one"}


def reconciles(operator: Operator) -> float:
    return operator.metric("controller_runtime_reconcile_total")


def test_an_edit_reaches_the_deployment(api: Api, here: str, serving: Callable[..., Object], until: Until) -> None:
    serving()
    api.patch("inferenceservices", here, "chat", {"spec": {"contextSize": 1024}})
    found = until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    assert found["status"]["plan"]["contextSize"] == 1024
    assert "1024" in api.get("deployments", here, "chat")["spec"]["template"]["spec"]["containers"][0]["args"]


def test_what_is_deleted_by_hand_comes_back(api: Api, here: str, serving: Callable[..., Object], until: Until) -> None:
    serving()
    gone = {each: api.get(each, here, "chat")["metadata"]["uid"] for each in ("services", "deployments")}
    for resource in gone:
        api.delete(resource, here, "chat")
    until(
        lambda: {each: api.get(each, here, "chat")["metadata"]["uid"] for each in gone},
        lambda found: not set(found.values()) & set(gone.values()),
    )


@pytest.mark.timeout(300)
def test_a_deleted_service_takes_what_it_owned_along_and_leaves_the_model(
    api: Api, here: str, serving: Callable[..., Object], until: Until
) -> None:
    serving()
    api.delete("inferenceservices", here, "chat")
    until(
        lambda: api.items("deployments", here) + api.items("services", here), lambda left: left == [], seconds=COLLECTED
    )
    assert api.get("models", here, "chat")["status"]["phase"] == "Ready"
    api.delete("models", here, "chat")
    until(lambda: api.items("models", here) + api.items("jobs", here), lambda left: left == [], seconds=COLLECTED)


def test_what_is_in_memory_is_told_by_metrics_and_by_the_debug_page(
    here: str, operator: Operator, serving: Callable[..., Object], api: Api
) -> None:
    serving()
    operator.settled()
    stores = json.loads(operator.page("/debug/stores"))
    for kind, resource in (("models.inference.llmkube.dev", "models"), ("jobs.batch", "jobs"), ("pods", "pods")):
        count = len(api.items(resource, here))
        assert (stores[kind]["objects"], operator.metric("informer_objects", kind=kind)) == (count, count)
        assert operator.metric("informer_events_total", kind=kind) > 0
        assert operator.metric("informer_relists_total", kind=kind) == 1
        assert operator.metric("informer_store_resource_version", kind=kind) == stores[kind]["version"] > 0
