"""Lets the claims that the operator made grow, where their storage class allows it.

What the API server refused is remembered, and not asked again before more is wanted: no class changes its mind.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmkube.controllers.refusal import REFUSALS
from llmkube.desired import cache
from llmkube.desired.conditions import one_line
from llmkube.desired.pod_trouble import Trouble
from llmkube.kube.kinds import PVC, Key, key_of

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.kube.apply import Applier
    from llmkube.kube.objects import CustomResource, PersistentVolumeClaim


@dataclass(frozen=True, slots=True)
class ClaimGrowth:
    """`grow` asks for more room at most once for each size."""

    applier: Applier
    refused: dict[Key, tuple[str, int, Trouble]] = field(default_factory=dict)

    async def grow(
        self, model: CustomResource, spec: ModelSpec, live: PersistentVolumeClaim, *, size_bytes: int
    ) -> Trouble | None:
        """Ask for the room that the claim would have if it were made now; return why that was refused."""
        is_bound = live.status.phase == "Bound" and live.metadata.deletion_timestamp is None
        if not is_bound or not cache.may_grow(spec, live, size_bytes=size_bytes):
            self.forget(key_of(model))
            return None
        uid, size, trouble = self.refused.get(key_of(model), ("", 0, None))
        if trouble is not None and uid == live.metadata.uid and size >= size_bytes:
            return trouble
        try:
            await self.applier.apply(PVC, cache.claim(model, spec, size_bytes=size_bytes, live=live) or {}, live)
        except REFUSALS as error:
            said = f"PersistentVolumeClaim {live.metadata.name} cannot grow: {error.message}"
            found = Trouble("ClaimCannotGrow", one_line(f"{said}; give it a class that allows it, or make it anew"))
            self.refused[key_of(model)] = (live.metadata.uid, size_bytes, found)
            return found
        return None

    def forget(self, key: Key) -> None:
        """The Model is gone, or nothing is wanted any more."""
        self.refused.pop(key, None)
