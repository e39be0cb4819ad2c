"""The scheduler of one machine: every pod that can run goes to the one node, the others say why they cannot.

Extended resources (GPUs) are counted; CPU and memory are not, because the process node does not enforce them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from llmkube.local.node.status import is_finished, merged
from llmkube.local.objects import (
    Change,
    Key,
    Object,
    is_deleting,
    key_of,
    labels_of,
    matches_expressions,
    spec_of,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.local.controllers.cluster import Cluster

CAUSES = ("nodes", "persistentvolumeclaims")


class Scheduler:
    name = "scheduler"
    watched = ("pods", *CAUSES)

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def keys(self, change: Change) -> Iterable[Key]:
        """A pod that waits; or all that wait, when something changed that they may wait for."""
        if change.resource in CAUSES or change.type == "DELETED" or is_finished(change.object):
            return [key_of(pod) for pod in self._cluster.everything("pods") if is_waiting(pod)]
        return [key_of(change.object)] if is_waiting(change.object) else []

    async def reconcile(self, key: Key) -> float | None:
        pod = self._cluster.get("pods", key)
        if pod is None or not is_waiting(pod):
            return None
        gates = spec_of(pod).get("schedulingGates") or ()
        node = next(iter(self._cluster.everything("nodes")), None)
        if gates:
            names = " ".join(gate["name"] for gate in gates)
            self._explain(pod, "SchedulingGated", f"Scheduling is blocked due to non-empty scheduling gates: [{names}]")
        elif problem := self._problem(pod, node):
            self._explain(pod, "Unschedulable", problem)
        elif node is not None:
            self._bind(pod, node["metadata"]["name"])
        return None

    def _problem(self, pod: Object, node: Object | None) -> str:
        if node is None:
            return "no nodes available to schedule pods"
        reasons = [*self._claims(pod), *placement_problems(pod, node), *self._shortages(pod, node)]
        return f"0/1 nodes are available: {', '.join(reasons)}." if reasons else ""

    def _claims(self, pod: Object) -> list[str]:
        names = [one["persistentVolumeClaim"]["claimName"] for one in volumes(pod) if "persistentVolumeClaim" in one]
        namespace = key_of(pod).namespace
        claims = {name: self._cluster.get("persistentvolumeclaims", Key(namespace, name)) for name in names}
        missing = [f'persistentvolumeclaim "{name}" not found' for name, claim in claims.items() if claim is None]
        ending = [name for name, claim in claims.items() if claim is not None and is_deleting(claim)]
        unbound = [one for one in claims.values() if one is not None and status_of(one).get("phase") != "Bound"]
        return [
            *missing,
            *(f'persistentvolumeclaim "{name}" is being deleted' for name in ending),
            *(["pod has unbound immediate PersistentVolumeClaims"] if unbound and not ending else []),
        ]

    def _shortages(self, pod: Object, node: Object) -> list[str]:
        wanted = extended_requests(pod)
        used: Counter[str] = Counter()
        for other in self._cluster.everything("pods") if wanted else ():
            if spec_of(other).get("nodeName") and not is_finished(other):
                used.update(extended_requests(other))
        has = status_of(node).get("allocatable") or {}
        short = [name for name, count in wanted.items() if count > int(has.get(name, 0)) - used[name]]
        return [f"1 Insufficient {name}" for name in sorted(short)]

    def _explain(self, pod: Object, reason: str, message: str) -> None:
        conditions = [one for one in status_of(pod).get("conditions") or () if one["type"] != "PodScheduled"]
        scheduled = merged(pod, "PodScheduled", "False", reason, message, now=self._cluster.clock())
        status = {"phase": "Pending", **status_of(pod), "conditions": [*conditions, scheduled]}
        if status != pod.get("status"):
            self._cluster.set_status("pods", pod, status)
            self._cluster.recorder.warning(pod, "FailedScheduling", message)

    def _bind(self, pod: Object, node: str) -> None:
        conditions = [one for one in status_of(pod).get("conditions") or () if one["type"] != "PodScheduled"]
        scheduled = merged(pod, "PodScheduled", "True", now=self._cluster.clock())
        status = {**status_of(pod), "phase": "Pending", "conditions": [*conditions, scheduled]}
        self._cluster.set_spec("pods", self._cluster.set_status("pods", pod, status), nodeName=node)
        where = f"{key_of(pod)} to {node}"
        self._cluster.recorder.normal(pod, "Scheduled", f"Successfully assigned {where}")


def is_waiting(pod: Object) -> bool:
    return not spec_of(pod).get("nodeName") and not is_deleting(pod) and not is_finished(pod)


def volumes(pod: Object) -> list[Object]:
    return spec_of(pod).get("volumes") or []


def extended_requests(pod: Object) -> Counter[str]:
    """Whole numbers of what machines have besides CPU and memory, summed over the pod's containers."""
    total: Counter[str] = Counter()
    for container in spec_of(pod).get("containers") or ():
        resources = container.get("resources") or {}
        wanted = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        total.update({name: int(count) for name, count in wanted.items() if "/" in name})
    return total


def placement_problems(pod: Object, node: Object) -> list[str]:
    spec = spec_of(pod)
    problems = []
    if spec_of(node).get("unschedulable"):
        problems.append("1 node(s) were unschedulable")
    selected = (spec.get("nodeSelector") or {}).items() <= labels_of(node).items()
    if not selected or not matches_affinity(spec.get("affinity") or {}, labels_of(node)):
        problems.append("1 node(s) didn't match Pod's node affinity/selector")
    return problems


def matches_affinity(affinity: Object, labels: dict[str, str]) -> bool:
    """Required node affinity: any of its terms; preferences change nothing where there is one node."""
    required = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    terms = required.get("nodeSelectorTerms") or ()
    return any(matches_expressions(term.get("matchExpressions") or (), labels) for term in terms)
