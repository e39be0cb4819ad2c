"""What may happen to a service's pods under load, and the same pods without their preStop hook.

Rendered    an InferenceService: its pods are as the operator makes them
Unhooked    the control: a Deployment and a Service that are copies of its own, but for the hook and the owner
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tests.component.local.local_mode import service, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.component.local.local_mode import LocalMode, Object

REPLICAS = 2
OPTIONS = {"contextSize": 1024, "parallel": 4, "resources": {"cpu": "1"}}
DEPLOYMENTS = "apis/apps/v1/namespaces/default/deployments"
SERVICES = "api/v1/namespaces/default/services"
PODS = "api/v1/namespaces/default/pods"


class Rolled(Protocol):
    """Pods behind one base URL."""

    name: str
    local: LocalMode

    @property
    def base(self) -> str: ...
    def change(self) -> None:
        """Change what the pods are made of."""

    def scale(self, replicas: int) -> None: ...
    def until_ready(self, replicas: int) -> None: ...


@dataclass
class Rendered:
    """An InferenceService."""

    local: LocalMode
    name: str
    changes: int = 0

    @property
    def base(self) -> str:
        endpoint: str = self.local.service(self.name)["status"]["endpoint"]
        return endpoint.partition("/v1")[0]

    def change(self) -> None:
        self.changes += 1
        env = [{"name": "CHANGES", "value": str(self.changes)}]
        self.local.apply(service(self.name, self.name, replicas=REPLICAS, env=env, **OPTIONS))

    def scale(self, replicas: int) -> None:
        self.local.llmkube("scale", self.name, "--replicas", str(replicas))

    def until_ready(self, replicas: int) -> None:
        self.local.until_ready(self.name, replicas=replicas)


@dataclass
class Unhooked:
    """Of the Deployment and the Service of an InferenceService that is ready."""

    local: LocalMode
    of: str
    name: str = "unhooked"
    changes: int = 0

    def make(self) -> None:
        deployment = self._copied(DEPLOYMENTS)
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            assert container.pop("lifecycle")["preStop"], "there was a hook to take away"
        deployment["spec"]["replicas"] = REPLICAS
        self.local.create(deployment, DEPLOYMENTS)
        ports = [{"name": "http", "port": 8080, "targetPort": "http"}]
        spec = {"selector": deployment["spec"]["selector"]["matchLabels"], "ports": ports}
        self.local.create({**self._copied(SERVICES), "spec": spec}, SERVICES)
        self.until_ready(REPLICAS)

    def remove(self) -> None:
        self.local.delete(DEPLOYMENTS, self.name)
        self.local.delete(SERVICES, self.name)
        until(lambda: self.local.pods(self.name), lambda found: found == [])

    @property
    def base(self) -> str:
        return f"http://{self.local.get(SERVICES, self.name)['spec']['clusterIP']}:8080"

    def change(self) -> None:
        self.changes += 1
        self._patch({"template": {"metadata": {"annotations": {"changes": str(self.changes)}}}})

    def scale(self, replicas: int) -> None:
        self._patch({"replicas": replicas})

    def until_ready(self, replicas: int) -> None:
        def ready(found: Object) -> bool:
            status = found.get("status", {})
            told = [status.get(name) for name in ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas")]
            return told == [found["metadata"]["generation"], replicas, replicas, replicas]

        until(lambda: self.local.get(DEPLOYMENTS, self.name), ready)

    def _patch(self, spec: Object) -> None:
        self.local.patch({"spec": spec}, DEPLOYMENTS, self.name)

    def _copied(self, collection: str) -> Object:
        """Return what the operator has made under another name, with pods of its own; nobody owns it."""
        found = self.local.get(collection, self.of)
        copied = {each: copy.deepcopy(found[each]) for each in ("apiVersion", "kind", "spec")}
        if "template" in copied["spec"]:
            for labels in (copied["spec"]["selector"]["matchLabels"], copied["spec"]["template"]["metadata"]["labels"]):
                labels |= {name: self.name for name, value in labels.items() if value == self.of}
        return {**copied, "metadata": {"name": self.name, "namespace": "default"}}


def names(pods: Rolled) -> set[str]:
    """Return the pods that nobody has told to end."""
    found = pods.local.pods(pods.name)
    return {each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]}


def roll(pods: Rolled) -> None:
    before = names(pods)
    pods.change()
    until(lambda: names(pods), lambda found: len(found) == REPLICAS and not found & before, seconds=240)
    pods.until_ready(REPLICAS)


def delete_one(pods: Rolled) -> None:
    gone = sorted(names(pods))[0]
    pods.local.delete(PODS, gone)
    until(lambda: names(pods), lambda found: len(found) == REPLICAS and gone not in found, seconds=240)
    pods.until_ready(REPLICAS)


def scale_down(pods: Rolled) -> None:
    pods.scale(1)
    pods.until_ready(1)


def until_gone(pods: Rolled) -> None:
    """Wait until those that were told to end have, of themselves: their grace is 300 seconds."""
    until(lambda: len(pods.local.pods(pods.name)) == len(names(pods)), bool, seconds=240)


DISTURBANCES: tuple[Callable[[Rolled], None], ...] = (roll, delete_one, scale_down)
