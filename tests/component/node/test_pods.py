from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest


async def test_a_pod_that_ends_well_has_succeeded_and_its_log_can_be_read(machine, shell_pod):
    machine.create("pods", shell_pod("hello", "echo one; echo two >&2; echo three"))
    pod = await machine.ended("hello")
    assert pod["status"]["phase"] == "Succeeded"
    assert sorted((await machine.log("hello")).split()) == ["one", "three", "two"]
    assert await machine.log("hello", tail=0) == ""
    assert len((await machine.log("hello", tail=2)).splitlines()) == 2
    stamped = await machine.log("hello", timestamps=True)
    assert all(line[4] == "-" and line.split()[0].endswith("Z") for line in stamped.splitlines())


async def test_a_pod_that_fails_tells_the_exit_code_and_its_last_words(machine, shell_pod, state_of):
    script = "echo doomed > /dev/termination-log; exit 65"
    machine.create("pods", shell_pod("bad", script))
    ended = state_of(await machine.ended("bad"))["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (65, "Error", "doomed\n")


async def test_the_end_of_the_log_is_the_message_when_asked_for(machine, shell_pod, state_of):
    pod = shell_pod("bad", "echo why; exit 3", container={"terminationMessagePolicy": "FallbackToLogsOnError"})
    machine.create("pods", pod)
    assert state_of(await machine.ended("bad"))["terminated"]["message"] == "why\n"


async def test_a_killed_container_runs_again_and_its_end_is_remembered(machine, shell_pod, pids_of):
    machine.create("pods", shell_pod("sturdy", "echo run; exec sleep 600", policy="Always"))
    pid = pids_of(await machine.running("sturdy"))[0]
    async with asyncio.timeout(10):
        while await machine.log("sturdy") != "run\n":
            await asyncio.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    pod = await machine.until(lambda: pod if pids_of(pod := machine.get("pods", "sturdy")) not in ([], [pid]) else None)
    status = pod["status"]["containerStatuses"][0]
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 137
    assert await machine.log("sturdy", previous=True) == "run\n"


async def test_a_container_that_keeps_failing_waits_longer_each_time(machine, shell_pod, state_of):
    machine.create("pods", shell_pod("loop", "exit 1", policy="Always"))
    waiting = await machine.until(
        lambda: (found := state_of(machine.get("pods", "loop"))["waiting"])["reason"] == "CrashLoopBackOff" and found
    )
    assert waiting["message"].startswith("back-off 0.2s restarting failed container=main pod=loop_default(")
    assert machine.get("pods", "loop")["status"]["phase"] == "Running"


async def test_a_shim_that_is_killed_takes_its_program_along_and_the_container_runs_again(
    machine, shell_pod, pids_of, is_alive, parent_of
):
    machine.create("pods", shell_pod("orphan", "exec sleep 600", policy="Always"))
    pid = pids_of(await machine.running("orphan"))[0]
    shim = parent_of(pid)
    os.kill(shim, signal.SIGKILL)
    pod = await machine.until(lambda: pod if pids_of(pod := machine.get("pods", "orphan")) not in ([], [pid]) else None)
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
    await machine.until(lambda: not is_alive(pid))


async def test_init_containers_run_in_order_before_the_others(machine, shell_pod):
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/work"}]}
    inits = [
        {"name": name, "image": "busybox", "command": ["sh", "-c", f"echo {name} >> /work/order"], **mount}
        for name in ("first", "second")
    ]
    machine.create(
        "pods",
        shell_pod(
            "ordered",
            "cat /work/order",
            container=mount,
            initContainers=inits,
            volumes=[{"name": "work", "emptyDir": {}}],
        ),
    )
    pod = await machine.ended("ordered")
    assert await machine.log("ordered", "main") == "first\nsecond\n"
    assert [one["state"]["terminated"]["exitCode"] for one in pod["status"]["initContainerStatuses"]] == [0, 0]


async def test_a_failed_init_container_fails_a_pod_that_never_restarts(machine, shell_pod):
    inits = [{"name": "first", "image": "busybox", "command": ["sh", "-c", "exit 7"]}]
    machine.create("pods", shell_pod("broken", "true", initContainers=inits))
    pod = await machine.ended("broken")
    assert pod["status"]["phase"] == "Failed"
    assert not pod["status"]["containerStatuses"][0]["started"]


async def test_the_environment_is_the_pods_and_not_the_persons(machine, shell_pod, monkeypatch):
    monkeypatch.setenv("PRIVATE_TOKEN_OF_THE_PERSON", "leaked")
    machine.create(
        "secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "dmFsdWU="}}
    )
    machine.create(
        "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"A": "1"}}
    )
    env = [
        {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "BOTH", "value": "$(POD)-$(FROM_SECRET)-$$(POD)"},
    ]
    container = {"env": env, "envFrom": [{"configMapRef": {"name": "c"}, "prefix": "C_"}], "args": ["$(POD)"]}
    script = 'env; echo "zero=$0"; ls /proc/self/fd'
    machine.create("pods", shell_pod("env", script, container=container))
    pod = await machine.ended("env")
    lines = (await machine.log("env")).splitlines()
    assert {"FROM_SECRET=value", "POD=env", "BOTH=env-value-$(POD)", "C_A=1", "zero=env"} <= set(lines)
    assert f"IP={pod['status']['podIP']}" in lines
    assert not any("PRIVATE_TOKEN" in line for line in lines)


async def test_a_missing_secret_is_named_and_the_container_starts_when_it_comes(machine, shell_pod, state_of):
    env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "later", "key": "key"}}}]
    machine.create("pods", shell_pod("waits", "echo $X", container={"env": env}))
    waiting = await machine.until(
        lambda: (found := state_of(machine.get("pods", "waits")).get("waiting")) and found.get("message") and found
    )
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'secret "later" not found'}
    machine.create(
        "secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later"}, "data": {"key": "dmFsdWU="}}
    )
    await machine.ended("waits")
    assert await machine.log("waits") == "value\n"


async def test_a_program_that_is_not_installed_is_an_image_that_cannot_be_pulled(machine, state_of):
    spec = {"containers": [{"name": "main", "image": "x", "command": ["no-such-program-here"]}]}
    machine.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "missing"}, "spec": spec})
    waiting = await machine.until(
        lambda: (
            (found := state_of(machine.get("pods", "missing")).get("waiting"))
            and found["reason"] == "ErrImagePull"
            and found
        )
    )
    assert "'no-such-program-here' is not on this machine's PATH" in waiting["message"]


@pytest.fixture
def no_engine(tmp_path, monkeypatch):
    """Where the machine expects its engine; the node reads it when it starts."""
    path = tmp_path / "llama-server"
    monkeypatch.setenv("LLMKUBE_LLAMA_SERVER", str(path))
    return path


async def test_a_pod_of_the_engine_without_an_engine_says_how_to_get_one_and_starts_when_it_comes(
    no_engine, machine, state_of
):
    container = {"name": "llama-server", "image": "ghcr.io/ggml-org/llama.cpp:server-b1", "args": ["--version"]}
    pod = {"metadata": {"name": "engine"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    machine.create("pods", {"apiVersion": "v1", "kind": "Pod", **pod})
    waiting = await machine.until(
        lambda: (found := state_of(machine.get("pods", "engine")).get("waiting")) and found.get("message") and found
    )
    assert "LLMKUBE_LLAMA_SERVER: expected the path of an executable, found" in waiting["message"]
    no_engine.write_text("#!/bin/sh\necho built\n")
    no_engine.chmod(0o755)
    await machine.until(lambda: machine.get("pods", "engine")["status"]["phase"] == "Succeeded")


async def test_a_host_path_is_refused_and_says_so(machine, shell_pod, state_of):
    machine.create("pods", shell_pod("nosy", "true", volumes=[{"name": "etc", "hostPath": {"path": "/etc"}}]))
    waiting = await machine.until(
        lambda: (found := state_of(machine.get("pods", "nosy")).get("waiting")) and found.get("message") and found
    )
    assert "hostPath is not supported in local mode" in waiting["message"]
    machine.registry.delete("pods", "default", "nosy")
    await machine.gone("pods", "nosy")


async def test_deleting_a_pod_lets_it_end_its_work(machine, shell_pod):
    machine.create(
        "persistentvolumeclaims",
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
    )
    script = "trap 'echo bye > /data/farewell; exit 0' TERM; echo up > /data/up; while :; do sleep 0.05; done"
    container = {
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /data/hook"]}}},
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    machine.create("pods", shell_pod("polite", script, container=container, volumes=volumes))
    directory = machine.home / "volumes" / "default" / "data"
    await machine.until((directory / "up").exists)
    machine.registry.delete("pods", "default", "polite")
    await machine.gone("pods", "polite")
    assert (directory / "farewell").read_text() == "bye\n"
    assert (directory / "hook").read_text() == "hook\n"
    assert machine.get("persistentvolumeclaims", "data")["status"]["phase"] == "Bound"
    machine.registry.delete("persistentvolumeclaims", "default", "data")
    await machine.gone("persistentvolumeclaims", "data")
    assert not directory.exists()


async def test_a_process_that_ignores_the_request_to_end_is_killed_with_all_it_started(
    machine, shell_pod, pids_of, is_alive
):
    script = "trap '' TERM; (trap '' TERM; exec sleep 600) & echo $!; while :; do sleep 0.05; done"
    machine.create("pods", shell_pod("stubborn", script, terminationGracePeriodSeconds=1))
    pid = pids_of(await machine.running("stubborn"))[0]
    child = int(await _first_line(machine, "stubborn"))
    machine.registry.delete("pods", "default", "stubborn")
    await machine.gone("pods", "stubborn")
    await machine.until(lambda: not any(is_alive(one) for one in (pid, child)))


async def _first_line(machine, pod):
    async for piece in await machine.node.log_reader.logs("default", pod, "", follow=True):
        return piece.split(b"\n")[0].decode()
    return ""


async def test_following_a_log_ends_when_the_container_does(machine, shell_pod):
    machine.create("pods", shell_pod("talks", "for i in 1 2 3; do echo $i; sleep 0.1; done"))
    await machine.running("talks")
    assert await machine.log("talks", follow=True) == "1\n2\n3\n"


async def test_a_container_that_fails_its_liveness_probe_is_restarted(machine, shell_pod):
    probe = {"exec": {"command": ["sh", "-c", "exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}
    machine.create("pods", shell_pod("sick", "exec sleep 600", policy="Always", container={"livenessProbe": probe}))
    await machine.until(lambda: machine.get("pods", "sick")["status"]["containerStatuses"][0]["restartCount"] >= 1)
    reasons = {one["reason"] for one in machine.registry.list("events")}
    assert {"Unhealthy", "Killing"} <= reasons


async def test_a_start_is_seen_when_it_happens_not_when_the_next_look_counts(machine, shell_pod):
    """The first look comes before the server listens; the second that counts would come after the test's time."""
    script = "import http.server, sys, time; time.sleep(1); http.server.test(port=8099, bind=sys.argv[1])"
    probe = {"tcpSocket": {"port": 8099}, "periodSeconds": 600}
    container = {"command": [sys.executable, "-c", script], "args": ["0.0.0.0"]}
    machine.create("pods", shell_pod("quick", "", container={**container, "startupProbe": probe}))
    await machine.until(lambda: machine.get("pods", "quick")["status"]["containerStatuses"][0]["ready"])


async def test_a_container_that_a_probe_kills_has_the_probes_own_grace_not_the_pods(machine, shell_pod):
    exec_probe = {"exec": {"command": ["sh", "-c", "exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}
    container = {"livenessProbe": {**exec_probe, "terminationGracePeriodSeconds": 1}}
    script = "trap '' TERM; while :; do sleep 0.05; done"
    machine.create(
        "pods", shell_pod("hung", script, policy="Always", container=container, terminationGracePeriodSeconds=600)
    )
    await machine.until(lambda: machine.get("pods", "hung")["status"]["containerStatuses"][0]["restartCount"] >= 1)
    machine.registry.delete("pods", "default", "hung", grace_period=1)
    await machine.gone("pods", "hung")


async def test_a_hook_that_does_not_end_is_ended_with_the_grace_and_told(machine, shell_pod):
    container = {"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "sleep 600"]}}}}
    machine.create("pods", shell_pod("slow", "exec sleep 600", container=container, terminationGracePeriodSeconds=1))
    await machine.running("slow")
    machine.registry.delete("pods", "default", "slow")
    await machine.gone("pods", "slow")
    assert "FailedPreStopHook" in {one["reason"] for one in machine.registry.list("events")}


async def test_a_pod_that_asks_for_gpus_waits_and_says_for_what(machine, shell_pod):
    resources = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    machine.create("pods", shell_pod("greedy", "true", container=resources))
    condition = await machine.until(lambda: machine.get("pods", "greedy")["status"]["conditions"][0])
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    assert condition["message"] == "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
