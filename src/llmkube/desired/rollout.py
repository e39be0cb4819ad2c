"""How the pods of a service are replaced, and how long that may take.

rollout(spec: InferenceServiceSpec, served: Served) -> dict      fields of the Deployment's spec
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.fetch_job import DEADLINE_SECONDS
from llmkube.desired.probes import startup_seconds
from llmkube.desired.resources import gpus

if TYPE_CHECKING:
    from llmkube.api.container import Strategy
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.inputs import Served

_SCHEDULING_SECONDS = 600  # for a node, an image and a volume, on top of the start itself
_LONGEST_SECONDS = 7 * 86400  # probes may be said to take years


def rollout(spec: InferenceServiceSpec, served: Served) -> dict[str, Any]:
    """Return strategy and progressDeadlineSeconds."""
    is_tight = gpus(spec, served.spec) > 0
    return {"strategy": _strategy(spec.strategy, is_tight=is_tight), "progressDeadlineSeconds": _deadline(spec, served)}


def _strategy(said: Strategy | None, *, is_tight: bool) -> dict[str, Any]:
    """Both numbers are always said: a default of the API server's would bar a later change to Recreate.

    A surge waits for ever for GPUs that the old pods hold; Recreate would stop all replicas to change one.
    """
    if said and said.type == "Recreate":
        return {"type": "Recreate"}
    numbers = said.rolling_update.manifest() if said and said.rolling_update else {}
    surge = numbers.get("maxSurge", 0 if is_tight else 1)
    unavailable = numbers.get("maxUnavailable", 1 if surge in {0, "0%"} else 0)
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def _deadline(spec: InferenceServiceSpec, served: Served) -> int:
    start = startup_seconds(spec.probes, served.status.size_bytes or 0) + _SCHEDULING_SECONDS
    return min(start + (DEADLINE_SECONDS if served.spec.cache.mode == "Ephemeral" else 0), _LONGEST_SECONDS)
