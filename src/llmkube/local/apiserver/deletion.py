"""What a request to delete does to an object: it goes at once, or it is marked and waits for finalizers or its node.

Pure: the registry stores what is decided here. It never looks at other objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from llmkube.local.objects import Object, spec_of, status_of, time_text

if TYPE_CHECKING:
    from datetime import datetime

    from llmkube.local.apiserver.resources import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
FINALIZER_OF = {"Foreground": FOREGROUND, "Orphan": ORPHAN, "Background": ""}
DEFAULT_GRACE = 30


@dataclass(frozen=True)
class Deletion:
    """One request to delete."""

    propagation: str = "Background"
    uid: str | None = None
    resource_version: str | None = None
    grace_period: int | None = None


def marked(resource: Resource, obj: Object, asked: Deletion, now: datetime) -> Object | None:
    """The object as it waits for its end; None when nothing holds it."""
    meta = obj["metadata"]
    finalizers = _finalizers(meta, asked.propagation)
    grace = _grace(resource, obj, asked)
    held = bool(finalizers) or bool(grace) or bool(spec_of(obj).get("finalizers") and resource.name == "namespaces")
    if not held:
        return None
    changed = {**meta, **_times(meta, grace, now)}
    changed.pop("finalizers", None)
    return _terminating(
        resource, {**obj, "metadata": {**changed, **({"finalizers": finalizers} if finalizers else {})}}
    )


def _finalizers(meta: Object, propagation: str) -> list[str]:
    kept = [one for one in meta.get("finalizers") or () if one not in {FOREGROUND, ORPHAN}]
    wanted = FINALIZER_OF[propagation]
    return [*kept, wanted] if wanted else kept


def _grace(resource: Resource, obj: Object, asked: Deletion) -> int:
    """Only pods that are on a node and not over have somebody who stops them gracefully."""
    if resource.name != "pods" or not spec_of(obj).get("nodeName"):
        return 0
    if status_of(obj).get("phase") in {"Succeeded", "Failed"}:
        return 0
    if asked.grace_period is not None:
        return asked.grace_period
    return int(spec_of(obj).get("terminationGracePeriodSeconds", DEFAULT_GRACE))


def _times(meta: Object, grace: int, now: datetime) -> Object:
    """A second request may shorten the time that is left, never lengthen it."""
    before = meta.get("deletionGracePeriodSeconds")
    if meta.get("deletionTimestamp"):
        return {} if before is None or grace >= before else {"deletionGracePeriodSeconds": grace}
    moved = {"generation": meta["generation"] + 1} if meta.get("generation") else {}
    return {
        "deletionTimestamp": time_text(now + timedelta(seconds=grace)),
        "deletionGracePeriodSeconds": grace,
        **moved,
    }


def _terminating(resource: Resource, obj: Object) -> Object:
    if resource.name != "namespaces":
        return obj
    return {**obj, "status": {**status_of(obj), "phase": "Terminating"}}


def is_over(resource: Resource, obj: Object) -> bool:
    """Nothing holds an object that was asked to go."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    return not (resource.name == "namespaces" and spec_of(obj).get("finalizers"))
