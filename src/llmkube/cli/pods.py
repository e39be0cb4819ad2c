"""The pods behind a service, or behind a Model's fetch: found by the operator's labels, described in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.cli.connection import Connection

Manifest = dict[str, Any]
COMPONENTS = {"InferenceService": "inference", "Model": "fetch"}


def selector(kind: str, name: str) -> str:
    """Return the label selector of the pods that serve a service or fetch a Model."""
    component = COMPONENTS[kind]
    return f"app.kubernetes.io/instance={name},app.kubernetes.io/component={component}"


async def pods_of(connection: Connection, kind: str, name: str) -> list[Manifest]:
    """Return the pods, those that work first and then the newest first."""
    from llmkube.kube.kinds import POD

    found = await connection.client.list_raw(POD, connection.namespace, label_selector=selector(kind, name))
    found.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
    return sorted(found, key=lambda pod: not is_ready(pod))


def is_ready(pod: Manifest) -> bool:
    """Whether the pod's Ready condition holds."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def containers(pod: Manifest, *, init: bool = False) -> list[str]:
    """Return the names of the pod's containers, in order."""
    return [
        str(each.get("name")) for each in (pod.get("spec") or {}).get("initContainers" if init else "containers") or ()
    ]


def statuses(pod: Manifest) -> list[Manifest]:
    """Return the states of all containers, init containers first."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def restarts(pod: Manifest) -> int:
    """Return how often its containers were started again."""
    return sum(int(each.get("restartCount") or 0) for each in statuses(pod))


def in_words(pod: Manifest) -> str:
    """Return what kubectl's STATUS column says: the phase, or what keeps a container from running."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    reasons = [reason for each in statuses(pod) if (reason := _reason(each))]
    status = pod.get("status") or {}
    return reasons[0] if reasons else str(status.get("reason") or status.get("phase") or "Unknown")


def complaints(pod: Manifest) -> Sequence[str]:
    """Return a line for each container that waits for a reason or has failed, with its message."""
    lines = []
    for each in statuses(pod):
        state = each.get("state") or {}
        ended = state.get("terminated") or (each.get("lastState") or {}).get("terminated") or {}
        waiting = state.get("waiting") or {}
        if waiting.get("message"):
            lines.append(f"{each.get('name')} waits: {waiting.get('reason')}: {waiting['message']}")
        if ended.get("exitCode"):
            message = str(ended.get("message") or "").strip()
            lines.append(
                f"{each.get('name')} ended with exit code {ended['exitCode']} ({ended.get('reason')}) {message}"
            )
    return lines


def _reason(status: Manifest) -> str:
    state = status.get("state") or {}
    ended = state.get("terminated") or {}
    if ended and not ended.get("exitCode"):
        return ""
    return str((state.get("waiting") or ended).get("reason") or "")
