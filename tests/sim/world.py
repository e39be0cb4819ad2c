"""Everything in a cluster that is not the operator: volumes, the Deployment and Job controllers, nodes, the collector.

Each step looks at the whole and does what is due, in an order and after delays that chance decides. It asks the server
directly: its own network is not under test.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from tests.component.operator.kubelet import verified
from tests.sim.state import key_of, now

from llmkube.desired.model_volume import MODEL_DIGEST
from llmkube.kube.kinds import Key

if TYPE_CHECKING:
    import random

    from tests.sim.ownership import Manifest
    from tests.sim.state import State

BESIDE = ("networkpolicies", "poddisruptionbudgets", "ingresses", "httproutes", "podmonitors")
CHILDREN = ("persistentvolumeclaims", "jobs", "deployments", "services", *BESIDE, "endpointslices", "pods")


class World:
    """`failing` is how likely a pod ends badly where it could have ended well; `violations` is where it is told when
    bytes are taken from under a pod."""

    def __init__(self, state: State, chance: random.Random, violations: list[str]) -> None:
        self._state = state
        self._chance = chance
        self._violations = violations
        self.failing = 0.0
        self.eager = False
        self._templates: dict[str, tuple[int, str]] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(0.1, 2.0))
            self.step()

    def step(self) -> None:
        self._collect()
        for each in self._state.items("persistentvolumeclaims"):
            if each.get("status", {}).get("phase") != "Bound" and self._is_due():
                self._say("persistentvolumeclaims", each, {"phase": "Bound"})
        for each in self._state.items("jobs"):
            self._run_job(each)
        for each in self._state.items("deployments"):
            self._roll_out(each)
        for each in self._state.items("services"):
            self._point(each)

    def _is_due(self) -> bool:
        return self.eager or self._chance.random() < 0.5

    def _say(self, resource: str, obj: Manifest, status: Manifest) -> None:
        before = obj.get("status", {})
        if before != status:
            gone = dict.fromkeys(set(before) - set(status))
            self._state.patch(resource, key_of(obj), {"status": {**gone, **status}}, "status")

    def _collect(self) -> None:
        """Delete what belongs to somebody who is gone (Background)."""
        alive = {each["metadata"]["uid"] for known in self._state.objects for each in self._state.items(known)}
        for resource in CHILDREN:
            for each in self._state.items(resource):
                owners = each["metadata"].get("ownerReferences", [])
                if owners and not any(owner["uid"] in alive for owner in owners) and self._is_due():
                    self._state.delete(resource, key_of(each))

    def _run_job(self, job: Manifest) -> None:
        if job.get("status", {}).get("conditions") or not self._is_due():
            return
        name = f"{job['metadata']['name']}-{job['metadata']['uid']}"
        pod = self._state.find("pods", Key(job["metadata"]["namespace"], name)) or self._start(job, "Job", name)
        match pod.get("status", {}).get("phase"):
            case None:
                self._collects(job)
                self._say("pods", pod, {"phase": "Running", "containerStatuses": [container("fetch", running())]})
                self._say("jobs", job, {"active": 1})
            case "Running":
                self._end(pod, job)

    def _collects(self, job: Manifest) -> None:
        """A Job that takes bytes away must be told to keep what pods and Deployments of its namespace serve."""
        words = job["spec"]["template"]["spec"]["containers"][0]["command"]
        if "--collect" not in words:
            return
        kept = {words[index + 1] for index, word in enumerate(words) if word == "--keep"}
        namespace, claim = job["metadata"]["namespace"], claim_of(job["spec"]["template"])
        pods = [each for each in self._state.items("pods", namespace) if "deletionTimestamp" not in each["metadata"]]
        served = [*pods, *(each["spec"]["template"] for each in self._state.items("deployments", namespace))]
        for each in served:
            digest = each["metadata"].get("annotations", {}).get(MODEL_DIGEST)
            if digest and claim_of(each) == claim and digest[:12] not in kept:
                self._violations.append(f"{job['metadata']['name']} keeps {kept}, and {digest[:12]} is served")

    def _end(self, pod: Manifest, job: Manifest) -> None:
        fails = self._chance.random() < self.failing
        word = {"event": "error", "reason": "SourceUnreachable", "message": "no route", "retryable": True}
        ended = terminated(1, json.dumps(word)) if fails else terminated(0, verified(pod))
        phase = "Failed" if fails else "Succeeded"
        self._say("pods", pod, {"phase": phase, "containerStatuses": [container("fetch", ended)]})
        said = {"type": "Failed" if fails else "Complete", "status": "True", "lastTransitionTime": now()}
        self._say("jobs", job, {"failed" if fails else "succeeded": 1, "conditions": [said]})

    def _roll_out(self, deployment: Manifest) -> None:
        """New pods, then away with the old, then the status: each when it is due."""
        if not self._is_due():
            return
        spec, key = deployment["spec"], key_of(deployment)
        uid, template = deployment["metadata"]["uid"], self._template(deployment)
        wanted = [f"{key.name}-{uid}-{template}-{number}" for number in range(spec.get("replicas", 1))]
        pods = {
            each["metadata"]["name"]: each
            for each in self._state.items("pods", key.namespace)
            if owns(deployment, each)
        }
        for name in sorted(set(pods) - set(wanted)):
            self._state.delete("pods", key_of(pods[name]))
        for name in wanted:
            self._serve(pods.get(name) or self._start(deployment, "Deployment", name))
        self._say("deployments", deployment, rolled_out(deployment, len(wanted)))

    def _template(self, deployment: Manifest) -> str:
        """Its digest, once for each generation: most of what a step costs, otherwise."""
        about = deployment["metadata"]
        generation, digest = self._templates.get(about["uid"], (0, ""))
        if generation != about["generation"]:
            content = json.dumps(deployment["spec"]["template"], sort_keys=True).encode()
            digest = hashlib.sha256(content).hexdigest()[:8]
            self._templates[about["uid"]] = about["generation"], digest
        return digest

    def _point(self, service: Manifest) -> None:
        """The EndpointSlice of a Service: its pods, with its own labels."""
        if not self._is_due():
            return
        key, about = key_of(service), service["metadata"]
        wanted = service["spec"].get("selector", {}).items()
        pods = [each for each in self._state.items("pods", key.namespace) if wanted <= labels_of(each).items()]
        endpoints = [endpoint(each) for each in pods if each.get("status", {}).get("conditions")]
        owner = {"apiVersion": "v1", "kind": "Service", "name": key.name, "uid": about["uid"], "controller": True}
        metadata = {
            "namespace": key.namespace,
            "name": key.name,
            "labels": labels_of(service),
            "ownerReferences": [owner],
        }
        if self._state.find("endpointslices", key) is None:
            self._state.create("endpointslices", {"metadata": metadata, "endpoints": endpoints})
        else:
            self._state.patch("endpointslices", key, {"endpoints": endpoints})

    def _serve(self, pod: Manifest) -> None:
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": pod["metadata"]["creationTimestamp"]}]
        statuses = [container(each["name"], running(), ready=True) for each in pod["spec"]["containers"]]
        self._say("pods", pod, {"phase": "Running", "conditions": conditions, "containerStatuses": statuses})

    def _start(self, owner: Manifest, kind: str, name: str) -> Manifest:
        template, metadata = owner["spec"]["template"], owner["metadata"]
        reference = {
            "apiVersion": "v1",
            "kind": kind,
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
        }
        labels = {**template["metadata"].get("labels", {}), "job-name": name}
        about = {"namespace": metadata["namespace"], "name": name, "labels": labels, "ownerReferences": [reference]}
        about["annotations"] = template["metadata"].get("annotations", {})
        return self._state.create("pods", {"metadata": about, "spec": {**template["spec"], "nodeName": "node"}})


def labels_of(obj: Manifest) -> dict[str, str]:
    return dict(obj["metadata"].get("labels", {}))


def endpoint(pod: Manifest) -> Manifest:
    target = {"kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    return {"addresses": ["10.1.1.1"], "conditions": {"ready": True}, "targetRef": target}


def claim_of(pod: Manifest) -> str:
    volumes = pod["spec"].get("volumes", [])
    return next((each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each), "")


def owns(owner: Manifest, obj: Manifest) -> bool:
    return any(each["uid"] == owner["metadata"]["uid"] for each in obj["metadata"].get("ownerReferences", []))


def container(name: str, state: Manifest, *, ready: bool = False) -> Manifest:
    return {"name": name, "ready": ready, "restartCount": 0, "state": state}


def running() -> Manifest:
    return {"running": {}}


def terminated(code: int, message: str) -> Manifest:
    return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}}


def rolled_out(deployment: Manifest, replicas: int) -> dict[str, Any]:
    counts = {
        name: replicas for name in ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas") if replicas
    }
    conditions = [
        {"type": each, "status": "True", "lastTransitionTime": deployment["metadata"]["creationTimestamp"]}
        for each in ("Available", "Progressing")
    ]
    return {"observedGeneration": deployment["metadata"]["generation"], **counts, "conditions": conditions}
