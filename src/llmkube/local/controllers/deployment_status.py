"""A Deployment's status and conditions from its ReplicaSets. Pure; the clock is passed in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from llmkube.local.controllers.cluster import nonzero
from llmkube.local.controllers.rollout import available, budget, replicas_of
from llmkube.local.objects import Object, condition, parse_time, spec_of, status_of, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE = "NewReplicaSetAvailable"
LATE = "ProgressDeadlineExceeded"


def status(deployment: Object, new: Object | None, old: Sequence[Object], *, now: datetime) -> Object:
    sets = [*([new] if new else []), *old]
    counts = _counts(new, sets)
    before = status_of(deployment)
    return {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        **nonzero(**counts, collisionCount=before.get("collisionCount")),
        "conditions": [
            _available(deployment, counts["availableReplicas"], now=now),
            _progressing(deployment, new, counts, now=now),
        ],
    }


def deadline_in(deployment: Object, current: Object, *, now: datetime) -> float | None:
    """In how many seconds the rollout is late, while it progresses."""
    progressing = condition({"status": current}, "Progressing")
    if progressing is None or progressing["reason"] in {DONE, LATE, "DeploymentPaused"}:
        return None
    end = parse_time(progressing["lastUpdateTime"]) + _deadline(deployment)
    return max(0.0, (end - now).total_seconds()) + 1


def _counts(new: Object | None, sets: Sequence[Object]) -> dict[str, int]:
    available_replicas = sum(map(available, sets))
    return {
        "replicas": sum(status_of(one).get("replicas", 0) for one in sets),
        "updatedReplicas": status_of(new).get("replicas", 0) if new else 0,
        "readyReplicas": sum(status_of(one).get("readyReplicas", 0) for one in sets),
        "availableReplicas": available_replicas,
        "unavailableReplicas": max(sum(map(replicas_of, sets)) - available_replicas, 0),
    }


def is_complete(deployment: Object, counts: dict[str, int]) -> bool:
    wanted = replicas_of(deployment)
    return all(counts[name] == wanted for name in ("updatedReplicas", "replicas", "availableReplicas"))


def _available(deployment: Object, available_replicas: int, *, now: datetime) -> Object:
    limits = budget(deployment)
    if available_replicas >= limits.replicas - limits.unavailable:
        state = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        state = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    return _condition(deployment, "Available", *state, now=now, progressed=False)


def _progressing(deployment: Object, new: Object | None, counts: dict[str, int], *, now: datetime) -> Object:
    before = condition(deployment, "Progressing")
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    if spec_of(deployment).get("paused"):
        return _condition(
            deployment, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now=now, progressed=False
        )
    if is_complete(deployment, counts):
        message = f"{name} has successfully progressed."
        return _condition(deployment, "Progressing", "True", DONE, message, now=now, progressed=False)
    moved = _moved(status_of(deployment), counts) or _is_new_rollout(before, new, counts, deployment)
    if moved or before is None:
        message = f"{name} is progressing."
        return _condition(deployment, "Progressing", "True", "ReplicaSetUpdated", message, now=now, progressed=True)
    if before["reason"] == DONE:
        return before
    if before["reason"] == LATE or parse_time(before["lastUpdateTime"]) + _deadline(deployment) <= now:
        message = f"{name} has timed out progressing."
        return _condition(deployment, "Progressing", "False", LATE, message, now=now, progressed=False)
    return before


def _moved(before: Object, counts: dict[str, int]) -> bool:
    """More updated, ready or available ones, or fewer old ones, than last time."""
    grew = any(counts[name] > before.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    old_before = before.get("replicas", 0) - before.get("updatedReplicas", 0)
    return grew or counts["replicas"] - counts["updatedReplicas"] < old_before


def _is_new_rollout(before: Object | None, new: Object | None, counts: dict[str, int], deployment: Object) -> bool:
    """The last rollout was done, or another ReplicaSet is the new one now: its deadline begins anew."""
    if before is None or new is None:
        return False
    another = f'"{new["metadata"]["name"]}"' not in before.get("message", "")
    return another or (before["reason"] == DONE and counts["updatedReplicas"] < replicas_of(deployment))


def _deadline(deployment: Object) -> timedelta:
    return timedelta(seconds=spec_of(deployment).get("progressDeadlineSeconds", 600))


def _condition(
    deployment: Object, kind: str, state: str, reason: str, message: str, *, now: datetime, progressed: bool
) -> Object:
    """As it stood when nothing is different; lastUpdateTime moves with progress, lastTransitionTime with the status."""
    before = condition(deployment, kind)
    same = before is not None and (before["status"], before["reason"]) == (state, reason)
    if before is not None and same and before["message"] == message and not progressed:
        return before
    turned = before is None or before["status"] != state
    return {
        "type": kind,
        "status": state,
        "reason": reason,
        "message": message,
        "lastUpdateTime": time_text(now),
        "lastTransitionTime": time_text(now) if before is None or turned else before["lastTransitionTime"],
    }
