"""A service under load on a real cluster: what is asked is answered whole, whatever happens to the pods meanwhile."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.conftest import Cluster

pytestmark = pytest.mark.timeout(1200)
LOAD = Path(__file__).with_name("load.py").read_text()
STREAMS = int(os.environ.get("LLMKUBE_E2E_STREAMS", "500"))
SERVICE, UNHOOKED = "stream", "unhooked"
STREAM = """
import sys, time, urllib.error, urllib.request
body = b'{"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 12, "stream": true}'
request = urllib.request.Request(sys.argv[1] + "/v1/chat/completions", body, {"Content-Type": "application/json"})
for _ in range(10):
    try:
        answer = urllib.request.urlopen(request, timeout=60)
        break
    except urllib.error.URLError:  # nodes learn of endpoints a moment after the API server does
        time.sleep(1)
for line in answer:
    print(line.decode(), end="")
"""


@pytest.fixture(scope="module", autouse=True)
def served(cluster: Cluster) -> None:
    cluster.apply(cluster.model(SERVICE), cluster.service(SERVICE, SERVICE, replicas=2, parallel=4, contextSize=2048))
    cluster.llmkube("wait", SERVICE, "--timeout", "300s")


def test_an_answer_streams_through_the_services_dns_name(client: Cluster) -> None:
    url = client.get(f"isvc/{SERVICE}")["status"]["endpoint"].removesuffix("/v1/chat/completions")
    assert f".{client.namespace}.svc." in url
    lines = [each for each in client.in_client(STREAM, url).splitlines() if each.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    words = [json.loads(each.removeprefix("data: "))["choices"][0]["delta"].get("content") for each in lines[:-1]]
    assert len([each for each in words if each]) > 2


def test_no_stream_is_lost_in_a_roll_out_a_scale_down_and_with_a_deleted_pod(
    client: Cluster, until: Callable[..., Any]
) -> None:
    url = f"http://{SERVICE}.{client.namespace}.svc:8080"
    with ThreadPoolExecutor(1) as background:
        load = background.submit(client.in_client, LOAD, url, str(STREAMS), "8")
        client.apply(client.service(SERVICE, SERVICE, replicas=2, parallel=4, contextSize=1024))
        until(lambda: client.pods(SERVICE), lambda pods: len(pods) == 2 and all("1024" in args(each) for each in pods))
        client.llmkube("wait", SERVICE, "--timeout", "300s")
        client.kubectl("delete", "pod", client.pods(SERVICE)[0]["metadata"]["name"], "--wait=false")
        client.llmkube("wait", SERVICE, "--timeout", "300s")
        client.kubectl("scale", f"isvc/{SERVICE}", "--replicas=1")
        until(lambda: client.pods(SERVICE), lambda pods: len(pods) == 1)
        assert not load.done(), "the load ended before all was done to the pods; raise LLMKUBE_E2E_STREAMS"
        outcomes = json.loads(load.result())
    assert outcomes == {"whole": STREAMS}


def test_without_the_hook_streams_of_the_same_load_are_lost_or_cut_off(client: Cluster) -> None:
    """The control: that the test before finds none is the hook's doing, and the load is one that can."""
    client.apply(*unhooked(client))
    rolled = ("rollout", "status", f"deployment/{UNHOOKED}", "--timeout=300s")
    client.kubectl(*rolled)
    url = f"http://{UNHOOKED}.{client.namespace}.svc:8080"
    with ThreadPoolExecutor(1) as background:
        load = background.submit(client.in_client, LOAD, url, str(STREAMS // 2), "8")
        while not load.done():  # once may go well
            client.kubectl("rollout", "restart", f"deployment/{UNHOOKED}")
            client.kubectl(*rolled)
        outcomes = json.loads(load.result())
    client.kubectl("delete", f"deployment/{UNHOOKED}", f"service/{UNHOOKED}", "--wait=false")
    print(outcomes)
    assert sum(outcomes.values()) > outcomes.get("whole", 0)


def unhooked(client: Cluster) -> tuple[dict[str, Any], dict[str, Any]]:
    """The service's own pods without their preStop hook: a Deployment of one that nobody owns, and a Service."""
    spec = client.get(f"deployment/{SERVICE}")["spec"]
    template = spec["template"]
    template["metadata"]["labels"] = {"app": UNHOOKED}
    assert template["spec"]["containers"][0].pop("lifecycle")["preStop"]
    metadata = {"name": UNHOOKED}
    deployment = {"replicas": 1, "selector": {"matchLabels": {"app": UNHOOKED}}, "template": template}
    service = {"selector": {"app": UNHOOKED}, "ports": [{"name": "http", "port": 8080, "targetPort": "http"}]}
    return (
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    )


def args(pod: dict[str, Any]) -> list[str]:
    return pod["spec"]["containers"][0].get("args") or []
