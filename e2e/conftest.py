"""A namespace of the cluster for the tests, and the commands that a person types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

Object = dict[str, Any]
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
CLIENT = "client"
OURS = "app.kubernetes.io/name=llmkube"
KINDS = "models,inferenceservices,deployments,services,persistentvolumeclaims,jobs,pods"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What upsets the machine's network comes last: a node that starts resets it, and the control plane shares it."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@dataclass(frozen=True)
class Cluster:
    """kubectl and llmkube in one namespace."""

    namespace: str
    model_url: str

    def run(self, *command: str, stdin: str | None = None) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, input=stdin, check=False)
        if done.returncode:
            pytest.fail(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self.run("kubectl", "-n", self.namespace, *words, stdin=stdin)

    def llmkube(self, command: str, *words: str) -> str:
        return self.run(sys.executable, "-m", "llmkube", command, "-n", self.namespace, *words)

    def apply(self, *documents: Object) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def get(self, what: str) -> Object:
        found: Object = json.loads(self.kubectl("get", what, "-o", "json"))
        return found

    def versions(self) -> dict[str, str]:
        """The resourceVersion of everything that the operator makes."""
        items = self.get(KINDS)["items"]
        return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in items}

    def model(self, name: str, **spec: Any) -> Object:
        return _document("Model", name, {"source": self.model_url, **spec})

    def slow_url(self) -> str:
        """The same file, sent slowly (e2e/serve_model.py)."""
        where, _, name = self.model_url.rpartition("/")
        return f"{where}/slow/{name}"

    def pods(self, service: str) -> list[Object]:
        """The pods of an InferenceService that are not going away."""
        chosen = f"inference.llmkube.dev/service={service}"
        found = json.loads(self.kubectl("get", "pods", "-l", chosen, "-o", "json"))["items"]
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]

    def image(self) -> str:
        """The operator's image, which has a Python."""
        found = json.loads(self.run("kubectl", "-n", "llmkube-system", "get", "deploy/llmkube-operator", "-o", "json"))
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def mounted(self, model: str, path: str, script: str) -> None:
        """Run a script in a pod that mounts the claim of a Model, at /models."""
        claim = self.pods(model)[0]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
        self.apply(sleeping("mounted", self.image(), claim=claim))
        self.kubectl("wait", "--for=condition=Ready", "pod/mounted", "--timeout=60s")
        self.kubectl("exec", "-i", "mounted", "--", "python3", "-", path, stdin=script)
        self.kubectl("delete", "pod", "mounted")

    def in_client(self, script: str, *words: str) -> str:
        """What a Python script prints that runs in a pod of the namespace."""
        return self.kubectl("exec", "-i", CLIENT, "--", "python3", "-", *words, stdin=script)

    def service(self, name: str, model: str, **spec: Any) -> Object:
        return _document(
            "InferenceService", name, {"modelRef": model, "contextSize": 512, "resources": {"cpu": "400m"}, **spec}
        )


def _document(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    url = os.environ.get("LLMKUBE_E2E_MODEL")
    if not url:
        pytest.fail("LLMKUBE_E2E_MODEL: expected the URL of a small GGUF that the cluster can reach (e2e/README.md)")
    name = f"llmkube-e2e-{uuid.uuid4().hex[:6]}"
    made = Cluster(name, url)
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
    made.run("kubectl", "create", "-f", "-", stdin=json.dumps(manifest))
    yield made
    # Pods first: of a namespace with pods that may take long to stop, Kubernetes looks again only after half that time.
    made.kubectl("delete", "inferenceservices,models", "--all", "--wait=false")
    deadline = time.monotonic() + 120
    while made.kubectl("get", "pods", "-l", OURS, "-o", "name") and time.monotonic() < deadline:
        time.sleep(1)
    made.run("kubectl", "delete", "namespace", name, "--timeout=120s")


def sleeping(name: str, image: str, *, claim: str = "") -> Object:
    """A pod of the operator's image that does nothing, in a namespace that enforces "restricted"."""
    container: Object = {
        "name": "python",
        "image": image,
        "command": ["python3", "-c", "import time; time.sleep(86400)"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    user = {"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec: Object = {"containers": [container], "terminationGracePeriodSeconds": 0, "securityContext": user}
    spec["automountServiceAccountToken"] = False
    if claim:
        container["volumeMounts"] = [{"name": "claim", "mountPath": "/models"}]
        spec["volumes"] = [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Cluster:
    """The cluster with a pod in the namespace that asks services by their DNS names."""
    cluster.apply(sleeping(CLIENT, cluster.image()))
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{CLIENT}", "--timeout=60s")
    return cluster


@dataclass(frozen=True)
class Lab:
    """The node of e2e/lab, which this machine can touch."""

    tools: Path
    folder: Path

    def node(self, *words: str) -> str:
        done = subprocess.run(
            [self.tools / "node", *words], capture_output=True, text=True, timeout=300, env=LAB_NODE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def engine(self, pods: list[Object]) -> int:
        """The process of the engine of the only pod, as this machine numbers it."""
        (pod,) = pods
        container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        tasks = self.node("ctr", str(self.folder), "tasks", "ls")
        return next(int(line.split()[1]) for line in tasks.splitlines() if line.startswith(container))

    def stop(self) -> None:
        """Stop the node and all that runs on it, as a power cut does for whoever looks from outside."""
        self.node("down", str(self.folder))

    def start(self) -> None:
        self.node("up", str(self.folder))


LAB_NODE = {**os.environ, "RUNTIME": os.environ.get("RUNTIME", "debian")}


@pytest.fixture(scope="session")
def lab() -> Lab:
    if not os.environ.get("LAB_DIR"):
        pytest.skip("NO LAB: what happens when a node stops, memory runs out or an engine is killed is NOT tested")
    return Lab(Path(os.environ["LAB_TOOLS"]), Path(os.environ["LAB_DIR"]))


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    def wait(look: Callable[[], Any], good: Callable[[Any], bool], *, seconds: float = 120) -> Any:
        deadline = time.monotonic() + seconds
        while not good(seen := look()):
            if time.monotonic() > deadline:
                pytest.fail(f"never became good within {seconds} s; last seen:\n{yaml.safe_dump(seen)}")
            time.sleep(0.5)
        return seen

    return wait
