"""What may be seen of an InferenceService, and the status that it comes to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from llmkube.api.inference_status import InferenceServiceStatus
from llmkube.desired.inference_status import Sight, observe
from llmkube.desired.pod_trouble import Trouble
from llmkube.kube.objects import Deployment, Pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WAITING = Trouble("ModelNotReady", "Model tiny is not ready yet: Downloading")
Factory = Callable[..., Any]


def deployment(*, ready: int = 0, wanted: int = 1, observed: int = 1, conditions: Any = ()) -> Deployment:
    status = {
        "observedGeneration": observed,
        "replicas": wanted,
        "updatedReplicas": wanted,
        "readyReplicas": ready,
        "conditions": list(conditions),
    }
    return msgspec.convert({"metadata": {"name": "chat", "generation": 1}, "status": status}, Deployment)


def pod(state: dict[str, Any], *, conditions: Any = (), **container: Any) -> Pod:
    told = [{"name": "llama-server", "state": state, **container}] if state else []
    status = {"phase": "Pending", "containerStatuses": told, "conditions": list(conditions)}
    return msgspec.convert({"metadata": {"name": "chat-x"}, "status": status}, Pod)


def seen(previous: InferenceServiceStatus | None = None, **fields: Any) -> InferenceServiceStatus:
    """The status where requests go to every pod that is ready, unless said otherwise."""
    return observe(sight(previous, **fields), now=NOW)


def sight(previous: InferenceServiceStatus | None = None, **fields: Any) -> Sight:
    live = fields.get("deployment")
    return Sight(
        1, previous or InferenceServiceStatus(), **{"answering": live.status.ready_replicas if live else 0, **fields}
    )


def condition(status: InferenceServiceStatus, kind: str) -> tuple[str, str, str]:
    return next((each.status, each.reason, each.message) for each in status.conditions if each.type == kind)


UNSCHEDULABLE = pod(
    {}, conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]
)
