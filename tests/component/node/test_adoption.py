"""kill -9 of the control plane at any time, then start again: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import os
import signal


async def test_a_new_node_adopts_what_runs(machine, shell_pod, pids_of):
    machine.create("pods", shell_pod("stays", "echo once; exec sleep 600", policy="Always"))
    before = pids_of(await machine.running("stays"))
    await machine.restart()
    machine.create("pods", shell_pod("marker", "true"))
    await machine.ended("marker")
    pod = machine.get("pods", "stays")
    assert pids_of(pod) == before
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    assert await machine.log("stays") == "once\n"


async def test_a_new_node_learns_how_a_container_ended_meanwhile(machine, shell_pod, pids_of, state_of, is_alive):
    machine.create("pods", shell_pod("short", "trap 'exit 9' USR1; echo up; while :; do sleep 0.02; done"))
    pid = pids_of(await machine.running("short"))[0]
    while await machine.log("short") != "up\n":
        await asyncio.sleep(0.02)
    await machine.abandon()
    os.kill(pid, signal.SIGUSR1)
    await machine.until(lambda: not is_alive(pid))
    machine.start()
    assert state_of(await machine.ended("short"))["terminated"]["exitCode"] == 9


async def test_a_pod_deleted_while_no_node_ran_is_ended_by_the_next(machine, shell_pod, pids_of, is_alive):
    machine.create("pods", shell_pod("doomed", "exec sleep 600", policy="Always"))
    pid = pids_of(await machine.running("doomed"))[0]
    await machine.abandon()
    machine.registry.delete("pods", "default", "doomed", grace_period=0)
    machine.start()
    await machine.until(lambda: not is_alive(pid))
    await machine.until(lambda: not list((machine.home / "pods").iterdir()))


async def test_pods_that_were_stopped_with_the_node_run_again_with_the_next(machine, shell_pod, pids_of, is_alive):
    machine.create("pods", shell_pod("works", "echo run; exec sleep 600"))
    pid = pids_of(await machine.running("works"))[0]
    await machine.node.stop_pods()
    assert not is_alive(pid)
    await machine.restart()
    pod = await machine.until(lambda: pod if pids_of(pod := machine.get("pods", "works")) not in ([], [pid]) else None)
    assert pod["status"]["phase"] == "Running"


async def test_an_adopted_pod_is_ended_as_gracefully_as_any(machine, shell_pod):
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/work"}]}
    inits = [{"name": "first", "image": "busybox", "command": ["true"]}]
    script = "trap 'sleep 0.2; echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    volumes = [{"name": "work", "emptyDir": {}}]
    machine.create("pods", shell_pod("polite", script, container=mount, initContainers=inits, volumes=volumes))
    await machine.running("polite")
    log = next((machine.home / "pods").glob("default_polite_*")) / "main" / "0.log"
    await machine.until(lambda: "up" in log.read_text())
    await machine.abandon()
    machine.registry.delete("pods", "default", "polite")
    written = log.open()
    machine.start()
    await machine.gone("pods", "polite")
    with written:
        assert written.read().split()[-1] == "bye"
