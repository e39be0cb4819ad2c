"""Decisions of a rolling update: which ReplicaSet gets how many replicas next (Kubernetes' deployment controller).

Pure. The budget is the one of Kubernetes: never more than replicas + maxSurge pods, never fewer than
replicas - maxUnavailable available ones. Replicas changed in the middle of a rollout follow the same budget instead of
being spread proportionally.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.local.objects import Object, canonical_hash, spec_of, status_of

if TYPE_CHECKING:
    from collections.abc import Sequence

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True)
class Budget:
    replicas: int
    surge: int
    unavailable: int


def template_hash(deployment: Object) -> str:
    """Names the ReplicaSet of a template: equal templates, equal hash."""
    return canonical_hash([spec_of(deployment)["template"], status_of(deployment).get("collisionCount", 0)])


def replicas_of(obj: Object) -> int:
    return int(spec_of(obj).get("replicas", 1))


def available(replica_set: Object) -> int:
    return int(status_of(replica_set).get("availableReplicas", 0))


def revision(obj: Object) -> int:
    text = (obj["metadata"].get("annotations") or {}).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def is_recreate(deployment: Object) -> bool:
    return (spec_of(deployment).get("strategy") or {}).get("type") == "Recreate"


def budget(deployment: Object) -> Budget:
    """Percentages: surge rounds up, unavailable down; both zero would never move."""
    replicas = replicas_of(deployment)
    if is_recreate(deployment):
        return Budget(replicas, 0, replicas)
    rolling = (spec_of(deployment).get("strategy") or {}).get("rollingUpdate") or {}
    surge = _portion(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = _portion(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return Budget(replicas, surge, max(unavailable, 0 if surge else 1))


def _portion(value: int | str, replicas: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    share = float(value.rstrip("%")) * replicas / 100
    return math.ceil(share) if up else math.floor(share)


def next_scale(limits: Budget, new: Object, old: Sequence[Object]) -> dict[str, int]:
    """ReplicaSet names and the replicas they should have now. Empty: nothing to do until pods change."""
    grown = _grow(limits, new, old)
    if grown != replicas_of(new):
        return {new["metadata"]["name"]: grown}
    return _shrink_old(limits, new, old)


def _grow(limits: Budget, new: Object, old: Sequence[Object]) -> int:
    current = replicas_of(new)
    if current >= limits.replicas:
        return limits.replicas
    room = limits.replicas + limits.surge - sum(map(replicas_of, (new, *old)))
    return current + min(max(room, 0), limits.replicas - current)


def _shrink_old(limits: Budget, new: Object, old: Sequence[Object]) -> dict[str, int]:
    """First the replicas that do not work anyway, then as many as the available ones allow; oldest first."""
    before = {one["metadata"]["name"]: replicas_of(one) for one in old}
    counts = dict(before)
    least = limits.replicas - limits.unavailable
    not_yet = replicas_of(new) - available(new)
    room = sum(before.values()) + replicas_of(new) - least - not_yet
    if room <= 0:
        return {}
    broken = {one["metadata"]["name"]: max(replicas_of(one) - available(one), 0) for one in old}
    _cut(counts, room, broken)
    _cut(counts, sum(map(available, (new, *old))) - least, dict(counts))
    return {name: count for name, count in counts.items() if count != before[name]}


def _cut(counts: dict[str, int], total: int, most: dict[str, int]) -> None:
    """Takes `total` from the counts in their order, from each no more than `most`."""
    for name, limit in most.items():
        taken = max(min(total, limit, counts[name]), 0)
        counts[name] -= taken
        total -= taken
