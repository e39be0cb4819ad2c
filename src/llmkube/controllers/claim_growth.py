"""Lets the claims that the operator made grow, where their storage class, quotas and policies allow it.

What the API server refused is remembered for PAUSE_SECONDS, and not asked again before then unless more is wanted:
quotas are raised, policies go, and a class may come to allow it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from llmkube.controllers.refusal import refusal
from llmkube.desired import cache
from llmkube.desired.conditions import one_line
from llmkube.desired.fetch_retry import PAUSE_SECONDS
from llmkube.desired.pod_trouble import Trouble
from llmkube.kube.errors import ApiError
from llmkube.kube.kinds import PVC, Key, key_of

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.kube.apply import Applier
    from llmkube.kube.objects import CustomResource, PersistentVolumeClaim
    from llmkube.runtime.clock import Clock

SOONEST = 1.0
"""Seconds: a timer and a clock may differ by less, and a pass that comes too early must not come at once again."""

_ADVICE = {
    "exceeded quota": "raise the quota, or make room in it",
    "can be resized": "give it a class that allows it (allowVolumeExpansion), or make it anew",
}
"""By what Kubernetes says: of a ResourceQuota, and of a class that does not allow growth."""


class Refused(NamedTuple):
    """What was refused for the claim of this uid, and until when that counts, in the clock's monotonic seconds."""

    uid: str
    size_bytes: int
    until: float
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class ClaimGrowth:
    """`grow` asks for more room, and for what was refused once in PAUSE_SECONDS."""

    applier: Applier
    clock: Clock
    refused: dict[Key, Refused] = field(default_factory=dict)

    async def grow(
        self, model: CustomResource, spec: ModelSpec, live: PersistentVolumeClaim, *, size_bytes: int
    ) -> Trouble | None:
        """Ask for the room that the claim would have if it were made now; return why that was refused."""
        key = key_of(model)
        is_bound = live.status.phase == "Bound" and live.metadata.deletion_timestamp is None
        if not is_bound or not cache.may_grow(spec, live, size_bytes=size_bytes):
            self.forget(key)
            return None
        before = self.refused.get(key)
        if before and _is_same(before, live, size_bytes) and self.clock.monotonic() < before.until:
            return before.trouble
        wanted = cache.claim(model, spec, size_bytes=size_bytes, live=live) or {}
        try:
            await self.applier.apply(PVC, wanted, live, owner=key)
        except ApiError as error:
            if refusal(error) is None:
                raise
            until, trouble = self.clock.monotonic() + PAUSE_SECONDS, _trouble(live, error)
            self.refused[key] = Refused(live.metadata.uid, size_bytes, until, trouble)
            return trouble
        self.forget(key)
        return None

    def again(self, key: Key, told: Trouble | None) -> float | None:
        """Return the seconds after which to ask again, when what a Model is told is what was refused to it."""
        refused = self.refused.get(key)
        if refused is None or refused.trouble != told:
            return None
        return max(refused.until - self.clock.monotonic(), SOONEST)

    def forget(self, key: Key) -> None:
        """The Model is gone, or nothing is wanted any more."""
        self.refused.pop(key, None)


def _is_same(refused: Refused, live: PersistentVolumeClaim, size_bytes: int) -> bool:
    return refused.uid == live.metadata.uid and refused.size_bytes >= size_bytes


def _trouble(live: PersistentVolumeClaim, error: ApiError) -> Trouble:
    advice = next((fix for said, fix in _ADVICE.items() if said in error.message), "have what refused it changed")
    said = f"PersistentVolumeClaim {live.metadata.name} cannot grow: {error.message}"
    pause = f"{PAUSE_SECONDS / 60:.0f} minutes"
    return Trouble("ClaimCannotGrow", one_line(f"{said}; {advice}; it is tried again every {pause}"))
