"""How many replicas a Deployment is to have, and who says so: the spec, or an autoscaler of the Deployment.

    scale(wanted: int, autoscalers: Sequence[str], live: Deployment | None) -> Scale
    scaled(deployment: dict, scale: Scale) -> dict

Pure. An annotation of the Deployment tells that it was handed over: an autoscaler that went down to 0 must be left
there, while a Deployment that the spec had stopped must be started, as no autoscaler does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from llmkube.api.group import GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.kube.objects import Deployment

REPLICAS = f"{GROUP}/replicas"
AUTOSCALED = "autoscaled"


class _Spec(msgspec.Struct):
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Scale:
    """`autoscaler` names the one that there is; a spec that asks for none wins over it."""

    replicas: int = 1
    autoscaler: str | None = None
    is_handed_over: bool = False


ONE = Scale()


def scale(wanted: int, autoscalers: Sequence[str], live: Deployment | None) -> Scale:
    """Return how many there are to be, where `wanted` is what the spec says."""
    autoscaler = next(iter(autoscalers), None)
    if autoscaler is None or wanted == 0:
        return Scale(wanted, autoscaler)
    found = _found(live) if live else wanted
    return Scale(found if _was_handed_over(live) else found or wanted, autoscaler, is_handed_over=True)


def scaled(deployment: dict[str, Any], scale: Scale) -> dict[str, Any]:
    """Return the intent, which does not say how many where an autoscaler does."""
    metadata, spec = deployment["metadata"], {**deployment["spec"], "replicas": scale.replicas}
    if scale.is_handed_over:
        del spec["replicas"]
        metadata = {**metadata, "annotations": {**metadata.get("annotations", {}), REPLICAS: AUTOSCALED}}
    return {**deployment, "metadata": metadata, "spec": spec}


def _was_handed_over(live: Deployment | None) -> bool:
    return live is not None and live.metadata.annotations.get(REPLICAS) == AUTOSCALED


def _found(live: Deployment) -> int:
    return msgspec.json.decode(live.spec, type=_Spec).replicas
