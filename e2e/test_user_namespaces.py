"""`--user-namespaces` on a node whose runtime can: root in the engine's and the fetch's pods is nobody on the node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.conftest import Cluster, Lab

pytestmark = pytest.mark.timeout(600)
NAME = "apart"
OPERATOR = ("-n", "llmkube-system", "deploy/llmkube-operator")


@pytest.fixture(autouse=True)
def asked_for(cluster: Cluster) -> Iterator[None]:
    """The operator's option, taken away again afterwards."""
    node = cluster.get("nodes")["items"][0]["status"]
    handlers = node.get("runtimeHandlers") or []
    if not any(each.get("features", {}).get("userNamespaces") for each in handlers):
        runtime = node["nodeInfo"]["containerRuntimeVersion"]
        pytest.skip(f"NOT tested: pods in user namespaces of their own; the node's {runtime} has none")
    told = ("kubectl", "set", "env", *OPERATOR)
    cluster.run(*told, "LLMKUBE_USER_NAMESPACES=true")
    cluster.run("kubectl", "rollout", "status", *OPERATOR, "--timeout=120s")
    yield
    cluster.run(*told, "LLMKUBE_USER_NAMESPACES-")
    cluster.run("kubectl", "rollout", "status", *OPERATOR, "--timeout=120s")


def test_the_fetch_and_the_engine_run_in_user_namespaces_of_their_own_and_serve(cluster: Cluster, lab: Lab) -> None:
    cluster.apply(cluster.model(NAME), cluster.service(NAME, NAME))
    cluster.llmkube("wait", NAME, "--timeout", "300s")
    pods = cluster.get("pods")["items"]
    assert {each["spec"]["hostUsers"] for each in pods} == {False}, "the fetch's too"
    inside, outside, _ = Path(f"/proc/{lab.engine(cluster.pods(NAME))}/uid_map").read_text().split()
    assert inside == "0"
    assert int(outside) >= 65536, "nobody whom the node knows"
    assert cluster.llmkube("chat", NAME, "Say hello.", "--max-tokens", "8").strip()
