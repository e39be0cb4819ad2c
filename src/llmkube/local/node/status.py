"""A pod's status from what its containers are doing, as the kubelet writes it.

Pure: values in, the status object out; the clock is passed in. Conditions that others own are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmkube.local.node.attempts import Ended
from llmkube.local.objects import Object, condition, condition_is_true, is_deleting, spec_of, status_of, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


OURS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass(frozen=True)
class Terminated:
    ended: Ended
    started_at: str
    container_id: str
    message: str = ""


@dataclass(frozen=True)
class ContainerView:
    """One container as it is now: exactly one of waiting, running_since and terminated says its state."""

    name: str
    image: str
    waiting: tuple[str, str] | None = ("PodInitializing", "")
    running_since: str = ""
    terminated: Terminated | None = None
    last: Terminated | None = None
    restart_count: int = 0
    container_id: str = ""
    started: bool = False
    ready: bool = False


@dataclass(frozen=True)
class PodView:
    """A pod as it is now. `verdict` (reason, message) fails it whatever its containers do."""

    address: str = ""
    init_containers: Sequence[ContainerView] = ()
    containers: Sequence[ContainerView] = ()
    verdict: tuple[str, str] | None = None
    mounted: bool = False
    extra: Object = field(default_factory=dict)


def render(pod: Object, view: PodView, *, now: datetime) -> Object:
    """The whole status object."""
    current = phase(pod, view)
    status: Object = {
        **status_of(pod),
        "phase": current,
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "startTime": status_of(pod).get("startTime") or time_text(now),
        "qosClass": status_of(pod).get("qosClass") or qos_class(pod),
        "conditions": _conditions(pod, view, current, now=now),
        "containerStatuses": [container_status(one) for one in view.containers],
    }
    if view.address:
        status |= {"podIP": view.address, "podIPs": [{"ip": view.address}]}
    if view.init_containers:
        status["initContainerStatuses"] = [container_status(one) for one in view.init_containers]
    if view.verdict:
        status["reason"], status["message"] = view.verdict
    return status


def phase(pod: Object, view: PodView) -> str:
    """kubelet getPhase: from the containers' states and the restart policy."""
    if view.verdict:
        return "Failed"
    policy = spec_of(pod).get("restartPolicy", "Always")
    for init in view.init_containers:
        if init.terminated and init.terminated.ended.exit_code != 0 and policy == "Never":
            return "Failed"
        if not _succeeded(init):
            return "Pending"
    if any(one.waiting and not one.last for one in view.containers):
        return "Pending"
    if any(one.running_since for one in view.containers) or policy == "Always":
        return "Running"
    if any(one.waiting for one in view.containers):
        return "Running"
    if all(_succeeded(one) for one in view.containers):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _succeeded(container: ContainerView) -> bool:
    return container.terminated is not None and container.terminated.ended.exit_code == 0


def container_status(view: ContainerView) -> Object:
    status: Object = {
        "name": view.name,
        "image": view.image,
        "imageID": "",
        "ready": view.ready,
        "started": view.started,
        "restartCount": view.restart_count,
        "state": _state(view),
        "lastState": {"terminated": terminated(view.last)} if view.last else {},
    }
    return status | ({"containerID": view.container_id} if view.container_id else {})


def published_view(pod: Object, spec: Object, *, waiting: tuple[str, str]) -> ContainerView:
    """The view that the pod's status shows of a container: what a node that starts again goes on from."""
    status = status_of(pod)
    entries = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    entry = next((one for one in entries if one["name"] == spec["name"]), None)
    if entry is None:
        return ContainerView(name=spec["name"], image=spec.get("image", ""), waiting=waiting)
    state, last = entry["state"], entry.get("lastState") or {}
    waits = state.get("waiting")
    return ContainerView(
        name=entry["name"],
        image=entry.get("image", ""),
        waiting=(waits.get("reason", ""), waits.get("message", "")) if waits else None,
        running_since=(state.get("running") or {}).get("startedAt", ""),
        terminated=_terminated_view(state.get("terminated")),
        last=_terminated_view(last.get("terminated")),
        restart_count=entry.get("restartCount", 0),
        container_id=entry.get("containerID", ""),
        started=bool(entry.get("started")),
        ready=bool(entry.get("ready")),
    )


def _terminated_view(state: Object | None) -> Terminated | None:
    if state is None:
        return None
    ended = Ended(state["exitCode"], state["finishedAt"], state["reason"])
    return Terminated(ended, state["startedAt"], state.get("containerID", ""), state.get("message", ""))


def _state(view: ContainerView) -> Object:
    if view.terminated:
        return {"terminated": terminated(view.terminated)}
    if view.running_since:
        return {"running": {"startedAt": whole_seconds(view.running_since)}}
    reason, message = view.waiting or ("ContainerCreating", "")
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def terminated(view: Terminated) -> Object:
    reason = view.ended.reason or ("Completed" if view.ended.exit_code == 0 else "Error")
    state: Object = {
        "exitCode": view.ended.exit_code,
        "reason": reason,
        "startedAt": whole_seconds(view.started_at),
        "finishedAt": whole_seconds(view.ended.at),
        "containerID": view.container_id,
    }
    message = view.message or view.ended.message
    return state | ({"message": message} if message else {})


def whole_seconds(moment: str) -> str:
    return moment[:19] + "Z" if moment else moment


def _conditions(pod: Object, view: PodView, current: str, *, now: datetime) -> list[Object]:
    initialized = all(_succeeded(one) for one in view.init_containers)
    unready = [one.name for one in view.containers if not one.ready]
    closed = [gate["conditionType"] for gate in spec_of(pod).get("readinessGates") or ()]
    closed = [gate for gate in closed if not condition_is_true(pod, gate)]
    containers_ready = _unready(current, unready)
    ready = containers_ready
    if not unready and closed and current == "Running":
        ready = (
            "False",
            "ReadinessGatesNotReady",
            f"corresponding condition of pod readiness gate {closed} is not True",
        )
    states = {
        "PodReadyToStartContainers": (
            "True" if view.mounted and current in {"Pending", "Running"} else "False",
            "",
            "",
        ),
        "Initialized": _initialized(view, initialized=initialized),
        "Ready": ready,
        "ContainersReady": containers_ready,
        "PodScheduled": ("True", "", ""),
    }
    others = [one for one in status_of(pod).get("conditions") or () if one["type"] not in OURS]
    return [*(merged(pod, kind, *states[kind], now=now) for kind in OURS), *others]


def _initialized(view: PodView, *, initialized: bool) -> tuple[str, str, str]:
    if initialized:
        return ("True", "", "")
    waiting = " ".join(one.name for one in view.init_containers if not _succeeded(one))
    return ("False", "ContainersNotInitialized", f"containers with incomplete status: [{waiting}]")


def _unready(current: str, unready: list[str]) -> tuple[str, str, str]:
    if current == "Succeeded":
        return ("False", "PodCompleted", "")
    if current == "Failed":
        return ("False", "PodFailed", "")
    if unready:
        return ("False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    return ("True", "", "")


def merged(obj: Object, kind: str, state: str, reason: str = "", message: str = "", *, now: datetime) -> Object:
    """The condition as it stands, or a new one whose transition time moves only when its status does."""
    before = condition(obj, kind)
    changed = before is None or before.get("status") != state
    since = time_text(now) if changed or before is None else before.get("lastTransitionTime") or time_text(now)
    one = {"type": kind, "status": state, "lastProbeTime": None, "lastTransitionTime": since}
    return one | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def qos_class(pod: Object) -> str:
    resources = [one.get("resources") or {} for one in spec_of(pod).get("containers") or ()]
    if not any(one.get("requests") or one.get("limits") for one in resources):
        return "BestEffort"
    guaranteed = all(
        set(one.get("limits") or {}) >= {"cpu", "memory"} and one.get("requests", one["limits"]) == one["limits"]
        for one in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def is_finished(pod: Object) -> bool:
    return status_of(pod).get("phase") in {"Succeeded", "Failed"}


def is_active(pod: Object) -> bool:
    return not is_finished(pod) and not is_deleting(pod)


def ready_since(pod: Object) -> str:
    """When the pod became ready; "" while it is not."""
    found = condition(pod, "Ready")
    return str(found.get("lastTransitionTime", "")) if found and found.get("status") == "True" else ""
