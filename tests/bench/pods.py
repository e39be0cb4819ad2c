"""Pods as a real cluster gives them, and a server of them in a process of its own."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

PAGE = 500
WHEN = "2026-01-01T00:00:00Z"
LABELS = {
    "app.kubernetes.io/name": "llmkube",
    "app.kubernetes.io/instance": "chat",
    "inference.llmkube.dev/service": "chat",
    "pod-template-hash": "5d8f7c9b6d",
}
ANNOTATIONS = {"inference.llmkube.dev/model-sha256": "5d" * 32}


def pod(number: int) -> dict[str, Any]:
    """About 6 KiB, a third of it managedFields."""
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata(number),
        "spec": {
            "nodeName": f"node-{number % 100}",
            "serviceAccountName": "default",
            "containers": [container()],
            "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "llmkube-models"}}],
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        },
        "status": status(number),
    }


def metadata(number: int) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "chat-5d8f7c9b6d", "uid": "u", "controller": True}
    fields: dict[str, dict[str, Any]] = {
        "kube-controller-manager": {f"f:field{each}": {"f:name": {}, "f:value": {}} for each in range(20)},
        "kubelet": {f'k:{{"type":"Type{each}"}}': {".": {}, "f:status": {}, "f:type": {}} for each in range(24)},
    }
    managed = [
        {
            "manager": who,
            "operation": "Update",
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "time": WHEN,
            "fieldsV1": of,
        }
        for who, of in fields.items()
    ]
    return {
        "name": f"chat-5d8f7c9b6d-{number:05}",
        "namespace": f"team-{number % 50}",
        "uid": f"6f1f4a52-0000-4000-8000-{number:012}",
        "resourceVersion": str(number + 1),
        "creationTimestamp": WHEN,
        "labels": LABELS,
        "annotations": ANNOTATIONS,
        "ownerReferences": [owner],
        "managedFields": managed,
    }


def container() -> dict[str, Any]:
    probe = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 10, "failureThreshold": 3}
    return {
        "name": "engine",
        "image": "ghcr.io/ggml-org/llama.cpp:server-b4719",
        "args": ["--model", "/models/m.gguf"] * 8,
        "env": [{"name": f"VARIABLE_{each}", "value": "x" * 40} for each in range(20)],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "2", "memory": "8Gi"}},
        "livenessProbe": probe,
        "readinessProbe": probe,
        "volumeMounts": [{"name": "models", "mountPath": "/models", "readOnly": True}],
    }


def status(number: int) -> dict[str, Any]:
    types = ("PodScheduled", "Initialized", "PodReadyToStartContainers", "ContainersReady", "Ready")
    engine = {
        "name": "engine",
        "image": "ghcr.io/ggml-org/llama.cpp:server-b4719",
        "imageID": "ghcr.io/ggml-org/llama.cpp@sha256:" + "ab" * 32,
        "containerID": f"containerd://{number:064}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": WHEN}},
        "lastState": {},
    }
    return {
        "phase": "Running",
        "podIP": f"10.0.{number // 250}.{number % 250}",
        "hostIP": "192.0.2.1",
        "startTime": WHEN,
        "conditions": [{"type": each, "status": "True", "lastTransitionTime": WHEN} for each in types],
        "containerStatuses": [engine],
    }


def pages(count: int) -> list[bytes]:
    """What the API server answers to a list in pages; its items do not say what they are."""
    found = []
    for first in range(0, count, PAGE):
        last = first + PAGE >= count
        about = {"resourceVersion": str(count), **({} if last else {"continue": str(first // PAGE + 1)})}
        items = [pod(number) for number in range(first, min(first + PAGE, count))]
        for each in items:
            del each["kind"], each["apiVersion"]
        found.append(json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": about, "items": items}).encode())
    return found


def initial_events(count: int) -> Iterator[bytes]:
    """What it answers to a watch that begins with everything (KEP-3157)."""
    for number in range(count):
        yield json.dumps({"type": "ADDED", "object": pod(number)}).encode() + b"\n"
    annotations = {"k8s.io/initial-events-end": "true"}
    about = {"resourceVersion": str(count), "annotations": annotations}
    yield json.dumps({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": about}}).encode() + b"\n"


def serve(count: int, port: Any) -> None:
    """Under /pages a server that knows no watch-list, under /events one that does; then nothing happens any more."""
    content, events = pages(count), list(initial_events(count))

    async def handle(request: web.Request) -> web.StreamResponse:
        if not request.query.get("watch"):
            return web.Response(body=content[int(request.query.get("continue", 0))], content_type="application/json")
        if request.path.startswith("/pages/") and request.query.get("sendInitialEvents"):
            return web.json_response({"code": 422, "reason": "Invalid"}, status=422)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for first in range(0, len(events) if request.query.get("sendInitialEvents") else 0, 100):
            await response.write(b"".join(events[first : first + 100]))
        await asyncio.sleep(3600)
        return response

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.put(runner.addresses[0][1])
        await asyncio.sleep(3600)

    asyncio.run(main())


@contextmanager
def served(count: int) -> Iterator[str]:
    """Its address, while it runs."""
    context = multiprocessing.get_context("spawn")
    port: Any = context.Queue()
    server = context.Process(target=serve, args=(count, port), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{port.get(timeout=60)}"
    finally:
        server.terminate()
        server.join(10)
