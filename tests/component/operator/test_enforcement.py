"""NetworkPolicies as they are rendered, enforced by a real engine (kube-network-policies, hack/netpol).

The control plane, the operator and the engine run in a network namespace of their own, which is the node. Each pod has
one as well, at the address that its status says; in place of llama-server a listener on the engine's port.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hack import gobuild
from tests.component.local.file_servers import ModelServer
from tests.component.operator.api import Api, Object
from tests.component.operator.conftest import Until, is_ready
from tests.component.operator.kubelet import NODE, Kubelet
from tests.component.operator.plane import embedded
from tests.component.operator.process import Operator

pytestmark = pytest.mark.timeout(200)
NOT_TESTED = "NOT TESTED: that NetworkPolicies are enforced (hack/netpol)"
FOLDER = Path(__file__).parents[3] / "hack" / "netpol"
CLONE_NEWNET = 0x40000000
LISTENER = """
import socket
listening = socket.create_server(("0.0.0.0", 8080))
print(flush=True)
while True:
    listening.accept()[0].close()
"""
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 8080), 1)"


@pytest.fixture
def node() -> Iterator[None]:
    """This thread, and what it starts, in a network namespace that forwards between pods."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET):
            pytest.skip(f"{NOT_TESTED}: a network namespace takes root: {os.strerror(ctypes.get_errno())}")
        try:
            forward()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"{NOT_TESTED}: it takes iproute2, iptables and a kernel with NFQUEUE: {error}")
        yield
    finally:
        assert libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)


def forward() -> None:
    """Forward between pods, and ask the engine's queue about each connection.

    By iptables: the engine asks nftables for the same, which takes a kernel with nft_queue.
    """
    command("ip", "link", "set", "lo", "up")
    for name in ("ip_forward", "conf/all/proxy_arp", "conf/default/proxy_arp"):
        Path("/proc/sys/net/ipv4", name).write_text("1")
    rule = "-A FORWARD -m conntrack --ctstate NEW -j NFQUEUE --queue-num 100"
    command("iptables", *rule.split())


def command(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=20)


class Place:
    """The network namespace of one pod, which lives as long as its listener."""

    def __init__(self, number: int, address: str) -> None:
        self.address = address
        words = ["unshare", "--net", sys.executable, "-c", LISTENER]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.process.stdout.readline()
        pid, outer = str(self.process.pid), f"pod{number}"
        command("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", pid)
        command("ip", "link", "set", outer, "up")
        self._inside = ("nsenter", "--target", pid, "--net")
        for step in (
            f"addr add {address}/32 dev eth0",
            "link set eth0 up",
            "link set lo up",
            "route add default dev eth0",
        ):
            command(*self._inside, "ip", *step.split())
        command("ip", "route", "add", f"{address}/32", "dev", outer)

    def reaches(self, other: Place) -> bool:
        words = [*self._inside, sys.executable, "-c", CONNECT, other.address]
        done = subprocess.run(words, capture_output=True, timeout=20, check=False)
        return done.returncode == 0


@pytest.fixture
def api(node: None, smollm2: Path, tmp_path: Path) -> Iterator[Api]:
    """A control plane on the node, with an operator, an engine, and a Model that can be fetched."""
    try:
        engine = gobuild.binary(FOLDER)
    except gobuild.BuildError as error:
        pytest.skip(f"{NOT_TESTED}: {error}")
    with embedded() as plane, Kubelet(plane.api, binds=True), ModelServer(smollm2.parent) as models:
        flags = ("--no-leader-elect", "--scrape-from", "monitoring")
        with (tmp_path / "netpol.log").open("wb") as log, contextlib.ExitStack() as running:
            words = [engine, str(plane.kubeconfig), NODE["metadata"]["name"]]
            process = running.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log))
            running.callback(process.kill)
            running.enter_context(Operator(plane.kubeconfig, tmp_path / "operator.log", *flags)).until_ready()
            source = models.url(smollm2.name)
            plane.api.apply("models", "default", document("Model", {"source": source}))
            yield plane.api


def document(kind: str, spec: Object) -> Object:
    return {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": kind, "metadata": {"name": "chat"}, "spec": spec}


def test_who_is_not_let_in_cannot_connect_and_the_pods_connect_to_nobody(api: Api, until: Until) -> None:
    serve(api, until, {})
    with contextlib.ExitStack() as stack:
        engine = place(stack, 0, api.items("pods", "default"), "chat")
        near, far, scraper = (
            place(stack, number, [client(api, until, where)], "client")
            for number, where in enumerate(("default", "elsewhere", "monitoring"), start=1)
        )
        ways = {"near": (near, engine), "far": (far, engine), "scraper": (scraper, engine)}
        ways |= {"out": (engine, near), "beside": (far, near)}

        def open_ways() -> set[str]:
            return {name for name, (one, other) in ways.items() if one.reaches(other)}

        until(open_ways, lambda found: found == {"near", "scraper", "beside"})
        others = {"namespaceSelector": {"matchLabels": {"team": "elsewhere"}}}
        serve(api, until, {"allowFrom": [others], "egress": "Allow"})
        until(open_ways, lambda found: found == {"far", "scraper", "beside", "out"})
        serve(api, until, {"enabled": False})
        until(open_ways, lambda found: found == set(ways))


def serve(api: Api, until: Until, policy: Object) -> None:
    spec = {"modelRef": "chat", "networkPolicy": policy}
    api.apply("inferenceservices", "default", document("InferenceService", spec))
    until(lambda: api.get("inferenceservices", "default", "chat"), is_ready)


def client(api: Api, until: Until, namespace: str) -> Object:
    """A pod of somebody's, with an address."""
    if namespace != "default":
        labels = {"team": namespace, "kubernetes.io/metadata.name": namespace}
        metadata = {"name": namespace, "labels": labels}
        api.apply("namespaces", "", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"}}
    api.apply("pods", namespace, {**pod, "spec": {"containers": [{"name": "c", "image": "x", "command": ["x"]}]}})
    found: Object = until(lambda: api.get("pods", namespace, "client"), lambda it: it["status"].get("podIP"))
    return found


def place(stack: contextlib.ExitStack, number: int, pods: list[Object], name: str) -> Place:
    running = (each for each in pods if each["status"]["phase"] == "Running")
    (pod,) = (each for each in running if each["metadata"]["name"].startswith(name))
    found = Place(number, pod["status"]["podIP"])
    stack.callback(found.process.communicate)
    stack.callback(found.process.kill)
    return found
