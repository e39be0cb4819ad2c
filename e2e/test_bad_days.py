"""What goes wrong on nodes: engines that die, memory that runs out, files that rot, claims and nodes that go away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from e2e.hog import hog

if TYPE_CHECKING:
    from e2e.conftest import Cluster, Lab

pytestmark = pytest.mark.timeout(900)
NAME = "steady"
ROT = """
import os, sys
path = "/models/" + sys.argv[1]
os.chmod(path, 0o644)
with open(path, "r+b") as file:
    file.write(bytes(4096))
"""


@pytest.fixture(scope="module", autouse=True)
def served(cluster: Cluster) -> None:
    cluster.apply(cluster.model(NAME), cluster.service(NAME, NAME))
    cluster.llmkube("wait", NAME, "--timeout", "300s")


@pytest.fixture
def jobs(cluster: Cluster) -> Callable[[], int]:
    """How many fetches there were: bytes that are there are not fetched again."""
    return lambda: len([each for each in cluster.get("jobs")["items"] if NAME in each["metadata"]["name"]])


@pytest.fixture
def standby() -> Iterator[None]:
    """An operator outside the node that waits for the Lease."""
    words = ["operator", "--leader-election-namespace", "llmkube-system", "--health-port", "-1"]
    process = subprocess.Popen([sys.executable, "-m", "llmkube", *words], stderr=subprocess.DEVNULL)
    yield
    process.terminate()
    process.wait(60)


def restarts(cluster: Cluster) -> int:
    (pod,) = cluster.pods(NAME)
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def condition(cluster: Cluster, kind: str) -> dict[str, Any]:
    found = cluster.get(f"isvc/{NAME}")["status"]["conditions"]
    return next(each for each in found if each["type"] == kind)


def is_ready(cluster: Cluster) -> bool:
    return bool(cluster.get(f"isvc/{NAME}")["status"]["phase"] == "Ready")


def test_a_killed_engine_is_started_anew_and_serves_the_bytes_that_are_there(
    cluster: Cluster, lab: Lab, until: Callable[..., Any], jobs: Callable[[], int]
) -> None:
    before, fetched = restarts(cluster), jobs()
    os.kill(lab.engine(cluster.pods(NAME)), signal.SIGKILL)
    until(lambda: restarts(cluster), lambda count: count == before + 1)
    until(lambda: is_ready(cluster), bool)
    assert jobs() == fetched


def test_an_engine_that_runs_out_of_memory_is_told_as_such_and_comes_back(
    cluster: Cluster, lab: Lab, until: Callable[..., Any]
) -> None:
    pid = lab.engine(cluster.pods(NAME))
    told: list[dict[str, Any]] = []
    with hog(pid):
        until(lambda: cluster.pods(NAME)[0], was_out_of_memory, seconds=60)
    until(lambda: told.append(condition(cluster, "Available")) or is_ready(cluster), bool)
    (pod,) = cluster.pods(NAME)
    assert was_out_of_memory(pod)


def was_out_of_memory(pod: dict[str, Any]) -> bool:
    (container,) = pod["status"]["containerStatuses"]
    ended = [container[state].get("terminated", {}) for state in ("state", "lastState") if state in container]
    return any(each.get("reason") == "OOMKilled" for each in ended)


@pytest.mark.last
def test_a_node_that_is_down_is_told_and_one_that_is_back_serves_without_a_fetch(
    cluster: Cluster, lab: Lab, standby: None, until: Callable[..., Any], jobs: Callable[[], int]
) -> None:
    """The operator of the cluster is down with its only node; the one outside takes over, as on another node."""
    fetched = jobs()
    lab.stop()
    try:
        until(lambda: condition(cluster, "Available"), lambda each: each["status"] == "False", seconds=240)
    finally:
        lab.start()
    until(lambda: is_ready(cluster), bool, seconds=300)
    assert jobs() == fetched


def test_a_file_that_rots_is_found_and_fetched_anew(cluster: Cluster, until: Callable[..., Any]) -> None:
    rot(cluster)
    cluster.kubectl("delete", "pod", cluster.pods(NAME)[0]["metadata"]["name"], "--wait=false")
    said = until(lambda: degraded(cluster), lambda found: found["status"] == "True", seconds=180)
    assert "could not read" in said["message"], said
    until(lambda: degraded(cluster), lambda found: found["status"] == "False", seconds=300)
    until(lambda: is_ready(cluster), bool, seconds=300)


def degraded(cluster: Cluster) -> dict[str, Any]:
    found = cluster.get(f"model/{NAME}")["status"]["conditions"]
    return next(each for each in found if each["type"] == "Degraded")


def rot(cluster: Cluster) -> None:
    """Overwrite the head of the verified file where it lies, from a pod that mounts the claim."""
    cluster.mounted(NAME, cluster.get(f"model/{NAME}")["status"]["path"], ROT)


def test_a_claim_that_was_deleted_is_made_and_filled_anew(cluster: Cluster, until: Callable[..., Any]) -> None:
    claim = cluster.pods(NAME)[0]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    before = cluster.get(f"pvc/{claim}")["metadata"]["uid"]
    cluster.kubectl("delete", f"pvc/{claim}", "--wait=false")
    assert is_ready(cluster), "a claim in use stays until its pods are gone"
    cluster.kubectl("delete", "pod", cluster.pods(NAME)[0]["metadata"]["name"])
    until(lambda: cluster.get("pvc")["items"], lambda found: found and found[0]["metadata"]["uid"] != before)
    until(lambda: is_ready(cluster), bool, seconds=300)
