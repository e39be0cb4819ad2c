"""Bytes of before in the cluster: kept while a pod may need them, then collected by a Job that is told what to keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.component.operator.kubelet import SHA256

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.kubelet import Kubelet

OTHER = "cd" * 32


def jobs(api: Api, here: str, component: str) -> list[Object]:
    label = "app.kubernetes.io/component"
    return [each for each in api.items("jobs", here) if each["metadata"]["labels"][label] == component]


def kept(model: Object) -> list[str]:
    return [each["sha256"] for each in model["status"].get("retained") or ()]


@pytest.mark.usefixtures("steady")
def test_bytes_of_before_go_when_the_roll_out_is_over_and_the_job_after_them(
    api: Api, here: str, serving: Callable[..., Object], until: Until
) -> None:
    serving()
    api.patch("models", here, "chat", {"spec": {"sha256": OTHER}})

    def collected(model: Object) -> bool:
        return model["status"].get("sha256") == OTHER and not kept(model)

    until(lambda: api.get("models", here, "chat"), collected)
    pods = [each for each in api.items("pods", here) if "llama-server" in str(each["spec"]["containers"])]
    assert {each["metadata"]["annotations"]["inference.llmkube.dev/model-sha256"] for each in pods} == {OTHER}
    until(lambda: jobs(api, here, "collect"), lambda found: not found)
    assert len(jobs(api, here, "fetch")) == 1


@pytest.mark.usefixtures("steady")
def test_a_service_that_is_stopped_keeps_its_bytes_until_it_is_rendered_for_the_new_ones(
    api: Api, here: str, serving: Callable[..., Object], until: Until, kubelet: Kubelet
) -> None:
    serving()
    kubelet.held.set()
    try:
        api.patch("models", here, "chat", {"spec": {"sha256": OTHER}})
        until(lambda: kept(api.get("models", here, "chat")), lambda found: found == [SHA256])
        assert not jobs(api, here, "collect")
        api.patch("inferenceservices", here, "chat", {"spec": {"replicas": 0}})
        until(lambda: api.get("deployments", here, "chat")["spec"]["replicas"], lambda count: count == 0)
        assert not jobs(api, here, "collect")
    finally:
        kubelet.held.clear()
    until(lambda: api.get("models", here, "chat"), lambda found: found["status"].get("sha256") == OTHER)
    until(lambda: kept(api.get("models", here, "chat")), lambda found: found == [])
    until(lambda: jobs(api, here, "collect"), lambda found: found == [])
