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
from typing import Any

import pytest
import yaml

Object = dict[str, Any]
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
KINDS = "models,inferenceservices,deployments,services,persistentvolumeclaims,jobs,pods"


@dataclass(frozen=True)
class Cluster:
    """kubectl and llmkube in one namespace."""

    namespace: str
    model_url: str

    def run(self, *command: str, stdin: str | None = None) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, input=stdin, check=False)
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

    def service(self, name: str, model: str, **spec: Any) -> Object:
        return _document(
            "InferenceService", name, {"modelRef": model, "contextSize": 512, "resources": {"cpu": "400m"}, **spec}
        )


def _document(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    url = os.environ.get("LLMKUBE_E2E_MODEL")
    if not url:
        pytest.fail("LLMKUBE_E2E_MODEL: expected the URL of a small GGUF that the cluster can reach (e2e/README.md)")
    name = f"llmkube-e2e-{uuid.uuid4().hex[:6]}"
    made = Cluster(name, url)
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
    made.run("kubectl", "create", "-f", "-", stdin=json.dumps(manifest))
    yield made
    made.run("kubectl", "delete", "namespace", name, "--timeout=120s")


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
