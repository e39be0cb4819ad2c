"""Local mode as a user runs it, for tests: its own home, its own processes, a file server for models, a real engine."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.kubectl import kubectl

from llmkube.kube.trust import trusting

LLMKUBE = [sys.executable, "-m", "llmkube"]
Object = dict[str, Any]


class LocalMode:
    """One home with local mode in it, and the commands that a person types against it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        inherited = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        self.environment = {**inherited, "LLMKUBE_HOME": str(home), "COLUMNS": "160", "HOME": str(home)}
        self.kubeconfig = home / "local" / "kubeconfig"

    def run(self, *command: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=150, input=stdin, check=False
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def llmkube(
        self, *arguments: str, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.run(*LLMKUBE, *arguments, check=check, stdin=stdin)

    def kubectl(
        self, *arguments: str, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.run(*kubectl(), "--kubeconfig", str(self.kubeconfig), *arguments, check=check, stdin=stdin)

    def apply(self, *documents: Object) -> None:
        self.llmkube("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def items(self, *path: str) -> list[Object]:
        """Return the items at one API path, read with the kubeconfig's own credentials."""
        found: list[Object] = self.get(*path)["items"]
        return found

    def delete(self, *path: str) -> None:
        """Delete one object, or all of a collection."""
        self._ask("DELETE", *path)

    def get(self, *path: str) -> Object:
        return self._ask("GET", *path)

    def patch(self, body: Object, *path: str) -> Object:
        """Merge this into one object."""
        return self._ask("PATCH", *path, body=body)

    def create(self, body: Object, *path: str) -> Object:
        """Create one object in the collection at this path."""
        return self._ask("POST", *path, body=body)

    def _ask(self, method: str, *path: str, body: Object | None = None) -> Object:
        config = yaml.safe_load(self.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        url = f"{cluster['server']}/{'/'.join(path)}"
        return _json(url, method=method, token=user["token"], cluster=cluster, body=body)

    def service(self, name: str) -> Object:
        return self.get("apis/inference.llmkube.dev/v1alpha1/namespaces/default/inferenceservices", name)

    def model(self, name: str) -> Object:
        return self.get("apis/inference.llmkube.dev/v1alpha1/namespaces/default/models", name)

    def pods(self, instance: str) -> list[Object]:
        selector = f"app.kubernetes.io/instance={instance},app.kubernetes.io/component=inference"
        return self.items(f"api/v1/namespaces/default/pods?labelSelector={selector}")

    def until_ready(self, name: str, *, replicas: int = 1) -> Object:
        def ready(service: Object) -> bool:
            status = service.get("status", {})
            told = [status.get(name) for name in ("phase", "readyReplicas", "observedGeneration")]
            return told == ["Ready", replicas, service["metadata"]["generation"]]

        found: Object = until(lambda: self.service(name), ready)
        return found


def _json(url: str, *, method: str, token: str, cluster: Object, body: Object | None) -> Object:
    data = cluster.get("certificate-authority-data")
    context = trusting(
        cafile=cluster.get("certificate-authority"), cadata=base64.b64decode(data).decode() if data else None
    )
    form = "merge-patch+json" if method == "PATCH" else "json"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": f"application/{form}"}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, context=context, timeout=10) as response:
        found: Object = json.load(response)
    return found


def until(look: Callable[[], Any], good: Callable[[Any], bool], *, seconds: float = 90) -> Any:
    """Look until what is seen is good; fail with what was seen last."""
    deadline = time.monotonic() + seconds
    seen: Any = None
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, KeyError):
            seen = look()
            if good(seen):
                return seen
        time.sleep(0.1)
    pytest.fail(f"never became good within {seconds} s; last seen:\n{yaml.safe_dump(seen)}")


def model(name: str, source: str, **spec: Any) -> Object:
    return {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"source": source, "format": "gguf", **spec},
    }


def service(name: str, model_name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"modelRef": model_name, "replicas": 1, "contextSize": 512, **spec},
    }


def condition(status: Object, kind: str) -> Object:
    """Return one condition of a status, or an empty one."""
    found: Object = next((each for each in status.get("conditions", []) if each["type"] == kind), {})
    return found


def answer(endpoint: str, prompt: str = "Say hello.", *, tokens: int = 16) -> list[str]:
    """Return the streamed pieces of a real completion through the OpenAI endpoint."""
    base = endpoint.partition("/v1")[0]
    body = {"messages": [{"role": "user", "content": prompt}], "stream": True, "max_tokens": tokens}
    request = urllib.request.Request(
        f"{base}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    pieces = []
    with urllib.request.urlopen(request, timeout=60) as response:
        for line in response:
            data = line.decode().removeprefix("data: ").strip()
            if data.startswith("{"):
                choices = json.loads(data).get("choices") or [{}]
                pieces.append(choices[0].get("delta", {}).get("content") or "")
    return [piece for piece in pieces if piece]


def asked(endpoint: str, path: str, body: Object) -> Object:
    """Return what another path of the endpoint answers."""
    request = urllib.request.Request(
        f"{endpoint.partition('/v1')[0]}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        found: Object = json.load(response)
    return found
