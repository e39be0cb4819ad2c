"""GPU services on a real node without GPUs: the node says that it has some, as a device plugin would have it say.

Planning, scheduling, the pod, the engine's log and the status are real. What stands in for a GPU is an RPC worker of
llama.cpp on this machine, which the engine treats as a device; without any, the engine silently runs on the CPU.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from e2e.conftest import LAB_NODE
from tests.real_engine import MISSING, program

from llmkube.desired.settings import engine_images

if TYPE_CHECKING:
    from e2e.conftest import Cluster, Lab

pytestmark = pytest.mark.timeout(900)
RESOURCE = "nvidia.com/gpu"
HOST, PORTS = "10.88.0.1", (50052, 50053)
MI = 2**20
PACKAGES = ("llama.cpp-tools", "libggml0-backend-rpc", "curl", "ca-certificates")
FEWER = ("/bin/sh", "-c", 'exec llama-server "$@" --n-gpu-layers 12', "--")
"""An entrypoint that knows better than the operator: the engine takes the last of two values."""


@pytest.fixture(scope="module", autouse=True)
def gpus(lab: Lab, cluster: Cluster, until: Callable[..., Any]) -> Iterator[None]:
    """The node has two, as far as Kubernetes knows: an extended resource that an administrator advertises."""
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    path = f"/status/capacity/{RESOURCE.replace('/', '~1')}"

    def advertise(operation: str) -> None:
        patch = json.dumps([{"op": operation, "path": path, "value": "2"}])
        cluster.kubectl("patch", "node", node, "--subresource=status", "--type=json", "-p", patch)

    advertise("add")
    until(lambda: cluster.get(f"node/{node}")["status"]["allocatable"], lambda has: has.get(RESOURCE) == "2")
    yield
    advertise("remove")


@pytest.fixture(scope="module")
def devices() -> Iterator[tuple[str, ...]]:
    """Addresses of two devices, where they can be had."""
    worker = program("ggml-rpc-server")
    if worker is None:
        pytest.skip(f"NOT tested: that layers on devices are seen by the operator; no ggml-rpc-server, {MISSING}")
    with contextlib.ExitStack() as stack:
        for port in PORTS:
            words = [worker, "--host", HOST, "--port", str(port)]
            running = stack.enter_context(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT))
            stack.callback(running.kill)
        yield tuple(f"{HOST}:{port}" for port in PORTS)


@pytest.fixture(scope="module")
def device_image(lab: Lab, devices: tuple[str, ...]) -> Callable[..., str]:
    """An image whose engine has so many devices, made from Debian's packages under a name."""

    def make(name: str, count: int, *, entrypoint: Sequence[str] = ("llama-server",)) -> str:
        variables = ["PATH=/usr/local/bin:/usr/bin:/usr/sbin", f"LLAMA_ARG_RPC={','.join(devices[:count])}"]
        config = json.dumps({"Entrypoint": entrypoint, "Env": variables})
        reference = f"e2e.llmkube.dev/{name}:1"
        words = [lab.tools / "node", "debs", str(lab.folder), reference, *PACKAGES]
        env = {**LAB_NODE, "SUITE": "sid", "CONFIG": config}
        subprocess.run(words, env=env, check=True, capture_output=True, timeout=300)
        return reference

    return make


@pytest.fixture
def serve(cluster: Cluster, until: Callable[..., Any]) -> Iterator[Callable[..., dict[str, Any]]]:
    """Serve from an image until the layers on GPUs are known; the status then."""
    served: list[str] = []

    def start(name: str, image: str, **gpu: Any) -> dict[str, Any]:
        served.append(name)
        hardware = {"accelerator": "cuda", "gpu": {"count": 1, "memory": "8Gi", **gpu}}
        cluster.apply(cluster.model(name, hardware=hardware), cluster.service(name, name, image=image))
        cluster.llmkube("wait", name, "--timeout", "300s")
        seen = until(
            lambda: cluster.get(f"isvc/{name}")["status"],
            lambda status: status.get("offload", {}).get("observed") is not None,
        )
        found: dict[str, Any] = seen
        return found

    yield start
    with contextlib.suppress(IndexError):
        cluster.kubectl("delete", "isvc", served.pop())


def held(log: str, device: str = "RPC") -> list[int]:
    """Bytes of buffers that the engine has made on each device, in their order."""
    sizes: dict[str, float] = {}
    told = rf"({device}\S+)\s+(?:model|KV|compute)\s+buffer size\s*=\s*([\d.]+) MiB"
    for each, size in re.findall(told, log):
        sizes[each] = sizes.get(each, 0) + float(size)
    return [int(sizes[each] * MI) for each in sorted(sizes)]


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(each for each in status["conditions"] if each["type"] == kind)


def test_a_pod_of_a_gpu_service_asks_for_gpus_and_one_that_runs_on_the_cpu_all_the_same_is_degraded(
    cluster: Cluster, lab: Lab, serve: Callable[..., dict[str, Any]]
) -> None:
    image = "e2e.llmkube.dev/silent:1"  # of the operator's own image for CPUs it knows better, and refuses it
    lab.node("ctr", str(lab.folder), "images", "tag", "--force", engine_images()["cpu"], image)
    status = serve("silent", image)
    (pod,) = cluster.pods("silent")
    assert pod["spec"]["containers"][0]["resources"]["limits"][RESOURCE] == "1"
    assert status["offload"] == {"planned": 31, "observed": 0}
    degraded = condition(status, "Degraded")
    assert (degraded["status"], degraded["reason"]) == ("True", "SilentCPU")
    assert condition(status, "Available")["status"] == "True", "it answers, if slowly"
    assert "SilentCPU" in cluster.llmkube("status", "silent")


def test_a_service_whose_layers_are_all_on_its_device_is_not_degraded(
    serve: Callable[..., dict[str, Any]], device_image: Callable[..., str]
) -> None:
    status = serve("offloaded", device_image("one", 1))
    assert status["offload"] == {"planned": 31, "observed": 31}
    assert condition(status, "Degraded")["status"] == "False"


def test_a_service_with_fewer_layers_on_its_device_than_were_planned_says_how_many(
    serve: Callable[..., dict[str, Any]], device_image: Callable[..., str]
) -> None:
    status = serve("partly", device_image("fewer", 1, entrypoint=FEWER))
    assert status["offload"] == {"planned": 31, "observed": 12}
    degraded = condition(status, "Degraded")
    assert (degraded["status"], degraded["reason"]) == ("True", "OffloadMissing")
    assert "31 layers" in degraded["message"]
    assert "12 there" in degraded["message"]


@pytest.mark.parametrize(
    "sharding",
    [{"strategy": "layer"}, {"layerSplit": ["0-9", "10-29"]}],
    ids=["as the plan has it", "as a person has it"],
)
def test_layers_are_split_over_two_devices_as_planned_and_take_the_memory_that_was_planned(
    cluster: Cluster,
    serve: Callable[..., dict[str, Any]],
    device_image: Callable[..., str],
    sharding: dict[str, Any],
) -> None:
    status = serve("split", device_image("two", 2), count=2, sharding=sharding)
    assert status["offload"] == {"planned": 31, "observed": 31}
    (pod,) = cluster.pods("split")
    found = held(cluster.kubectl("logs", pod["metadata"]["name"], "-c", "llama-server"))
    planned = status["plan"]["memory"]["gpu"]
    print("planned", planned, "held", found)
    assert found == [pytest.approx(each, rel=0.05, abs=8 * MI) for each in planned]


def test_every_matrix_is_cut_over_two_devices_and_the_fuller_takes_no_more_than_was_planned(
    cluster: Cluster, serve: Callable[..., dict[str, Any]], device_image: Callable[..., str]
) -> None:
    status = serve("sliced", device_image("two", 2), count=2, sharding={"strategy": "tensor"})
    assert status["offload"] == {"planned": 31, "observed": 31}
    (pod,) = cluster.pods("sliced")
    assert "tensor" in pod["spec"]["containers"][0]["args"]
    (fuller,) = held(cluster.kubectl("logs", pod["metadata"]["name"], "-c", "llama-server"), "Meta")
    planned = status["plan"]["memory"]["gpu"]
    print("planned", planned, "held by the fuller, without what the sums take", fuller)
    assert 0.9 * max(planned) < fuller <= max(planned) + MI
    words = ("curl", "-sf", "http://127.0.0.1:8080/completion", "-d", '{"prompt": "Once upon a", "n_predict": 4}')
    answered = cluster.kubectl("exec", pod["metadata"]["name"], "-c", "llama-server", "--", *words)
    assert json.loads(answered)["tokens_predicted"] == 4
