"""How long a pod of a service took to answer, from what its status says.

    start_of(pod: Pod) -> Start | None          None until it is ready
    restarts_of(pod: Pod) -> int | None         of its engine; None until there is one
    Start(pod: str, restarts: int, cold: float, load: float)    seconds, to one: Kubernetes writes whole ones

Pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from llmkube.desired.pod_part import CONTAINER

if TYPE_CHECKING:
    from llmkube.kube.objects import ContainerStatus, Pod


class Start(NamedTuple):
    """One start of one pod: `cold` since the pod was asked for, `load` since its engine's container runs.

    A container that was started anew in its pod has no `cold`.
    """

    pod: str
    restarts: int
    cold: float | None
    load: float


def start_of(pod: Pod) -> Start | None:
    """Return the start that made the pod ready."""
    ready = next((each for each in pod.status.conditions if each.type == "Ready" and each.status == "True"), None)
    engine = _engine(pod)
    began, asked = _began(engine), _moment(pod.metadata.creation_timestamp)
    answered = _moment(ready.last_transition_time) if ready else None
    if engine is None or began is None or asked is None or answered is None:
        return None
    cold = None if engine.restart_count else _seconds(asked, answered)
    return Start(pod.metadata.uid, engine.restart_count, cold, _seconds(began, answered))


def restarts_of(pod: Pod) -> int | None:
    """Return how many times its engine was started anew."""
    engine = _engine(pod)
    return engine.restart_count if engine else None


def _engine(pod: Pod) -> ContainerStatus | None:
    for each in pod.status.container_statuses:
        if each.name == CONTAINER:
            return each
    return None


def _began(engine: ContainerStatus | None) -> datetime | None:
    running = engine.state.running if engine else None
    return _moment(running.started_at) if running else None


def _moment(text: str | None) -> datetime | None:
    """What is no RFC 3339 time, or has no offset, is nothing that was said."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None


def _seconds(since: datetime, until: datetime) -> float:
    """Nodes' clocks may differ by more than it took."""
    return max(0.0, (until - since).total_seconds())
