"""A real kill -9 of the process that holds registry, controllers and node, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("llmkube.local.apiserver.registry")  # state that survives needs the real one

SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from llmkube.local.apiserver.registry import Registry
from llmkube.local.controllers import run_controllers
from llmkube.local.node.backoff import Backoff
from llmkube.local.node.node import Node

async def main(home):
    registry = Registry(home / "state.db")
    node = Node(registry, home, backoff=Backoff(first=0.2))
    for resource, namespace, obj in __import__("json").loads(sys.stdin.read()):
        registry.create(resource, namespace, obj)
    async with asyncio.TaskGroup() as group:
        group.create_task(node.run())
        group.create_task(run_controllers(registry, volumes=home / "volumes"))

asyncio.run(main(Path(sys.argv[1])))
"""


async def supervisor(home, objects=()):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISOR, str(home), stdin=asyncio.subprocess.PIPE
    )
    process.stdin.write(json.dumps(objects).encode())
    process.stdin.close()
    return process


def deployment(replicas):
    container = {"name": "main", "image": "busybox", "command": ["sleep", "1000"]}
    template = {
        "metadata": {"labels": {"app": "x"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec}


def running(home):
    """Pids of the pods' processes (without their shims), by what the shims recorded and /proc confirms."""
    found = []
    for record in (home / "pods").glob("*/main/*.started"):
        pid = json.loads(record.read_text())["pid"]
        with contextlib.suppress(OSError):
            if b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return sorted(found)


async def until_running(home, count):
    for _ in range(1000):
        if len(running(home)) >= count:
            return running(home)
        await asyncio.sleep(0.02)
    return pytest.fail(f"{running(home)} run, not {count}")


async def test_nothing_is_lost_and_nothing_doubled_however_often_the_supervisor_is_killed(tmp_path):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    objects = [("deployments.apps", "default", deployment(3))]
    try:
        process = await supervisor(tmp_path, objects if has_default() else [("namespaces", None, namespace), *objects])
        for moment in (0.05, 0.2, 0.4):  # in the middle of whatever it is doing
            await until_running(tmp_path, 1)
            await asyncio.sleep(moment)
            process.kill()
            await process.wait()
            process = await supervisor(tmp_path)
        first = await until_running(tmp_path, 3)
        process.kill()
        await process.wait()
        process = await supervisor(tmp_path)
        await asyncio.sleep(1)
        assert running(tmp_path) == first
        process.kill()
        await process.wait()
    finally:
        for pid in running(tmp_path):
            os.kill(pid, signal.SIGKILL)


def has_default():
    return True
