from __future__ import annotations

import asyncio
import http.client


def web(name, *, replicas=2, **extra):
    container = {
        "name": "web",
        "image": "python",
        "command": ["python3", "-u", "-m", "http.server", "8080"],
        "args": ["--bind", "0.0.0.0"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
    }
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 2, "containers": [container]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **extra}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def service(name, port=8000):
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": port, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def ask(address, port=8000):
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except OSError as error:
        return type(error).__name__
    finally:
        connection.close()


def is_complete(deployment, replicas):
    status = deployment.get("status") or {}
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return counts == [replicas] * 3 and current


async def answers(machine, address, wanted):
    for _ in range(500):
        found = await asyncio.to_thread(ask, address)
        if found == wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{address} answered {found!r}, not {wanted!r}")


async def test_a_deployment_answers_at_the_address_of_its_service_until_it_has_no_replicas(machine):
    machine.create("deployments.apps", web("web"))
    machine.create("services", service("web"))
    await machine.until(lambda: is_complete(machine.get("deployments.apps", "web"), 2))
    address = machine.get("services", "web")["spec"]["clusterIP"]
    await answers(machine, address, 200)
    addresses = {pod["status"]["podIP"] for pod in machine.pods()}
    assert len(addresses) == 2
    machine.edit("deployments.apps", "web", lambda one: one["spec"].update(replicas=0))
    await machine.until(lambda: not machine.pods())
    await answers(machine, address, "ConnectionRefusedError")
    machine.edit("deployments.apps", "web", lambda one: one["spec"].update(replicas=1))
    await machine.until(lambda: is_complete(machine.get("deployments.apps", "web"), 1))
    await answers(machine, address, 200)


async def test_a_new_template_replaces_the_pods_and_a_deleted_deployment_leaves_nothing(machine):
    machine.create("deployments.apps", web("web"))
    await machine.until(lambda: is_complete(machine.get("deployments.apps", "web"), 2))
    before = {pod["metadata"]["uid"] for pod in machine.pods()}

    def change(deployment):
        deployment["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "VERSION", "value": "2"}]

    machine.edit("deployments.apps", "web", change)
    await machine.until(lambda: is_complete(machine.get("deployments.apps", "web"), 2) and len(machine.pods()) == 2)
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in machine.pods())
    deployment = machine.get("deployments.apps", "web")
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert len(machine.registry.list("replicasets.apps", "default")) == 2
    machine.registry.delete("deployments.apps", "default", "web")
    await machine.until(lambda: not machine.pods() and not machine.registry.list("replicasets.apps", "default"))


async def test_recreate_ends_the_old_pods_before_it_makes_new_ones(machine):
    machine.create("deployments.apps", web("web", replicas=1, strategy={"type": "Recreate"}))
    await machine.until(lambda: is_complete(machine.get("deployments.apps", "web"), 1))
    most = 0

    def watch(change):
        nonlocal most
        most = max(most, len(machine.pods()))

    machine.registry.subscribe(watch)

    def change(deployment):
        deployment["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "VERSION", "value": "2"}]

    machine.edit("deployments.apps", "web", change)
    await machine.until(lambda: is_complete(machine.get("deployments.apps", "web"), 1))
    assert most == 1


async def test_a_converged_machine_writes_nothing_and_neither_does_its_restart(machine):
    machine.create("deployments.apps", web("web", replicas=1))
    machine.create("services", service("web"))
    machine.create("jobs.batch", job("done", "true"))
    await machine.until(lambda: is_complete(machine.get("deployments.apps", "web"), 1))
    await machine.until(lambda: finished(machine.get("jobs.batch", "done")))
    await answers(machine, machine.get("services", "web")["spec"]["clusterIP"], 200)
    writes = []
    machine.registry.subscribe(lambda change: writes.append((change.type, change.resource, change.object["metadata"])))
    await machine.restart()
    await asyncio.sleep(1.5)  # longer than the probe's period; what is asserted is that nothing was written
    assert writes == []


def job(name, script, **spec):
    container = {"name": "fetch", "image": "busybox", "command": ["sh", "-c", script]}
    template = {"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}}
    body = {"backoffLimit": 1, "template": template, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def finished(one):
    conditions = (one.get("status") or {}).get("conditions") or ()
    return next((found for found in conditions if found["type"] in {"Complete", "Failed"}), None)


async def test_a_job_runs_to_its_end(machine):
    machine.create("jobs.batch", job("good", "echo done"))
    condition = await machine.until(lambda: finished(machine.get("jobs.batch", "good")))
    assert condition["type"] == "Complete"
    status = machine.get("jobs.batch", "good")["status"]
    assert status["succeeded"] == 1
    assert status["startTime"] <= status["completionTime"]


async def test_a_job_is_tried_again_as_often_as_it_says(machine):
    machine.create("jobs.batch", job("bad", "exit 75"))
    condition = await machine.until(lambda: finished(machine.get("jobs.batch", "bad")))
    assert (condition["type"], condition["reason"]) == ("Failed", "BackoffLimitExceeded")
    assert machine.get("jobs.batch", "bad")["status"]["failed"] == 2


async def test_an_exit_code_that_no_retry_can_mend_fails_the_job_at_once(machine):
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "fetch", "operator": "In", "values": [65]}}
    machine.create("jobs.batch", job("hopeless", "exit 65", backoffLimit=6, podFailurePolicy={"rules": [rule]}))
    condition = await machine.until(lambda: finished(machine.get("jobs.batch", "hopeless")))
    assert (condition["type"], condition["reason"]) == ("Failed", "PodFailurePolicy")
    assert "failed with exit code 65 matching FailJob rule at index 0" in condition["message"]
    assert len(machine.pods()) == 1


async def test_a_job_that_takes_too_long_fails_and_its_pod_ends(machine):
    machine.create("jobs.batch", job("slow", "exec sleep 600", activeDeadlineSeconds=1))
    condition = await machine.until(lambda: finished(machine.get("jobs.batch", "slow")))
    assert (condition["type"], condition["reason"]) == ("Failed", "DeadlineExceeded")
    await machine.until(lambda: not machine.pods())


async def test_a_deleted_job_takes_its_pod_along(machine):
    machine.create("jobs.batch", job("going", "exec sleep 600"))
    await machine.until(lambda: machine.pods()[0]["status"]["phase"] == "Running")
    machine.registry.delete("jobs.batch", "default", "going")
    await machine.until(lambda: not machine.pods())


async def test_a_pod_whose_claim_is_not_there_waits_for_it(machine, shell_pod):
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "later"}}]
    machine.create("pods", shell_pod("waits", "true", volumes=volumes))
    condition = await machine.until(lambda: machine.get("pods", "waits")["status"]["conditions"][0])
    assert condition["message"] == '0/1 nodes are available: persistentvolumeclaim "later" not found.'
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    machine.create(
        "persistentvolumeclaims",
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "later"}, "spec": claim},
    )
    await machine.ended("waits")


async def test_a_taken_port_is_told_on_the_service(machine):
    machine.create("deployments.apps", web("web", replicas=1))
    await machine.until(lambda: is_complete(machine.get("deployments.apps", "web"), 1))
    server = await asyncio.start_server(lambda *_: None, "127.96.77.77", 8000)
    wanted = service("web")
    wanted["spec"]["clusterIP"] = "127.96.77.77"
    machine.create("services", wanted)
    events = await machine.until(
        lambda: [one for one in machine.registry.list("events") if one["reason"] == "FailedToListen"]
    )
    server.close()
    assert "127.96.77.77:8000: another program has this port" in events[0]["message"]
