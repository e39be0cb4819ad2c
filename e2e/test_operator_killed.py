"""The operator is killed in each phase of a Model's and a service's life; the next one goes on where it stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.conftest import Cluster

pytestmark = pytest.mark.timeout(900)
OPERATOR = ("kubectl", "-n", "llmkube-system")


def kill(cluster: Cluster) -> None:
    """No grace: it writes nothing more, and its Lease is still its own."""
    pods = ("pod", "-l", "app.kubernetes.io/component=operator")
    cluster.run(*OPERATOR, "delete", *pods, "--grace-period=0", "--force")


@pytest.mark.parametrize("phase", ["Downloading", "Verifying", "Ready"])
def test_a_model_gets_ready_though_its_operator_is_killed_while_it_is(
    phase: str, cluster: Cluster, until: Callable[..., Any]
) -> None:
    name = f"killed-{phase.lower()}"
    cluster.apply(cluster.model(name, source=cluster.slow_url()), cluster.service(name, name))
    reached = until(lambda: phase_of(cluster, f"model/{name}"), lambda found: found in {phase, "Ready"}, seconds=180)
    kill(cluster)
    cluster.llmkube("wait", name, "--timeout", "300s")
    jobs = [each for each in cluster.get("jobs")["items"] if name in each["metadata"]["name"]]
    assert len(jobs) == 1, f"killed while {reached}: what was fetched is kept"
    cluster.llmkube("delete", name, "--with-model")


@pytest.mark.parametrize("phase", ["Creating", "Progressing"])
def test_a_service_gets_ready_though_its_operator_is_killed_while_it_is(
    phase: str, cluster: Cluster, until: Callable[..., Any]
) -> None:
    name = "killed-service"
    cluster.apply(cluster.model(name), cluster.service(name, name))
    until(lambda: phase_of(cluster, f"isvc/{name}"), lambda found: found in {phase, "Progressing", "Ready"})
    kill(cluster)
    cluster.llmkube("wait", name, "--timeout", "300s")
    cluster.llmkube("delete", name, "--with-model")
    until(lambda: [each for each in cluster.versions() if name in each], lambda left: left == [])


def test_a_roll_out_ends_though_its_operator_is_killed_again_and_again(
    cluster: Cluster, until: Callable[..., Any]
) -> None:
    name = "killed-roll-out"
    cluster.apply(cluster.model(name), cluster.service(name, name))
    cluster.llmkube("wait", name, "--timeout", "300s")
    cluster.apply(cluster.service(name, name, contextSize=1024))
    for _ in range(3):
        kill(cluster)
        time.sleep(4)
    until(lambda: [args(each) for each in cluster.pods(name)], lambda found: len(found) == 1 and "1024" in found[0])
    cluster.llmkube("wait", name, "--timeout", "300s")
    cluster.llmkube("delete", name, "--with-model")


def args(pod: dict[str, Any]) -> list[str]:
    return pod["spec"]["containers"][0].get("args") or []


def phase_of(cluster: Cluster, what: str) -> str:
    return str(cluster.get(what).get("status", {}).get("phase", ""))
