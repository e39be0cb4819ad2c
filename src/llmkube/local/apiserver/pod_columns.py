"""READY, STATUS and RESTARTS of a pod, as kubectl's printPod has them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.objects import condition_is_true, spec_of, status_of

if TYPE_CHECKING:
    from datetime import datetime

    from llmkube.local.objects import Object


def _statuses(pod: Object, field: str = "containerStatuses") -> list[Object]:
    return status_of(pod).get(field) or []


def pod_ready(pod: Object, _: datetime) -> str:
    ready = sum(bool(one.get("ready")) for one in _statuses(pod))
    return f"{ready}/{len(spec_of(pod).get('containers') or ())}"


def pod_restarts(pod: Object, _: datetime) -> str:
    return str(sum(int(one.get("restartCount", 0)) for one in _statuses(pod)))


def pod_status(pod: Object) -> str:
    """The word that says most: why it waits or ended, else its phase."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    phase = status_of(pod).get("reason") or status_of(pod).get("phase", "Unknown")
    return _initializing(pod) or _containers(pod) or str(phase)


def _initializing(pod: Object) -> str:
    statuses = _statuses(pod, "initContainerStatuses")
    for done, one in enumerate(statuses):
        state = one.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if ended is not None:
            return f"Init:{_ended(ended)}"
        waiting = (state.get("waiting") or {}).get("reason", "")
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{done}/{len(spec_of(pod).get('initContainers') or ())}"
    return ""


def _ended(terminated: Object) -> str:
    if reason := terminated.get("reason"):
        return str(reason)
    signal = terminated.get("signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{terminated.get('exitCode', 0)}"


def _containers(pod: Object) -> str:
    found, runs = "", False
    for one in reversed(_statuses(pod)):
        state = one.get("state") or {}
        if reason := (state.get("waiting") or {}).get("reason"):
            found = str(reason)
        elif (ended := state.get("terminated")) is not None:
            found = _ended(ended)
        elif one.get("ready") and state.get("running") is not None:
            runs = True
    if found == "Completed" and runs:
        return "Running" if condition_is_true(pod, "Ready") else "NotReady"
    return found
