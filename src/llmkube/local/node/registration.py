"""This machine as a Node object. Written when the node starts and only where it differs; there are no heartbeats,
because the node and the API server are one process: while the API answers, the node lives.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
from importlib.metadata import version
from pathlib import Path

from llmkube.local.node.status import merged
from llmkube.local.objects import Clock, Object, Registry, StatusError, status_of, with_status

NAME = "local"
MAX_PODS = 110
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def register(registry: Registry, clock: Clock) -> None:
    node = _existing(registry) or registry.create("nodes", None, _object(), manager="kubelet")
    status = {**status_of(node), **_status(), "conditions": _conditions(node, clock)}
    if status != node.get("status"):
        registry.update("nodes", None, NAME, with_status(node, status), subresource="status", manager="kubelet")


def _existing(registry: Registry) -> Object | None:
    try:
        return registry.get("nodes", None, NAME)
    except StatusError as error:
        if error.code != 404:
            raise
        return None


def architecture() -> str:
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def _object() -> Object:
    labels = {
        "kubernetes.io/hostname": NAME,
        "kubernetes.io/os": platform.system().lower(),
        "kubernetes.io/arch": architecture(),
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME, "labels": labels}, "spec": {}}


def _conditions(node: Object, clock: Clock) -> list[Object]:
    states = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "the process node does not watch memory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "the process node does not watch disks"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "the process node does not watch process numbers"),
        ("Ready", "True", "KubeletReady", "the process node is running"),
    ]
    return [merged(node, *state, now=clock()) for state in states]


def _status() -> Object:
    return {
        "capacity": _capacity(),
        "allocatable": _capacity(),
        "addresses": [
            {"type": "InternalIP", "address": "127.0.0.1"},
            {"type": "Hostname", "address": socket.gethostname()},
        ],
        "nodeInfo": {
            "architecture": architecture(),
            "bootID": "",
            "containerRuntimeVersion": f"process://{version('llmkube')}",
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": f"v{version('llmkube')}",
            "machineID": "",
            "operatingSystem": platform.system().lower(),
            "osImage": _os_image(),
            "systemUUID": "",
        },
    }


def _capacity() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{memory // 1024}Ki",
        "ephemeral-storage": f"{shutil.disk_usage(Path.home()).total // 1024}Ki",
        "pods": str(MAX_PODS),
    }


def _os_image() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.platform())
    except OSError:
        return platform.platform()
