"""The conditions of an InferenceService: ModelReady, Autoscaled, Scheduled, Available, Progressing, Degraded.

Pure. Every type is found every time; no message holds a number that moves while nothing happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.api.conditions import AUTOSCALED, AVAILABLE, DEGRADED, MODEL_READY, PROGRESSING, SCHEDULED
from llmkube.desired.conditions import Finding
from llmkube.desired.pod_trouble import UNSCHEDULABLE
from llmkube.desired.replicas import ONE, Scale

if TYPE_CHECKING:
    from llmkube.api.inference_status import InferencePhase
    from llmkube.desired.pod_trouble import Trouble

_NO_ENDPOINTS = (
    "Pods are ready, but the Service has no ready endpoint: requests reach none of them yet; see "
    "`kubectl get endpointslices` and the endpointslice controller of the cluster if it stays so"
)
LATE = "ProgressDeadlineExceeded"
"""The Deployment's own reason for a roll-out that took too long, and ours."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a service stands: its phase, whether a pod answers or is `unreachable` though ready, whether a roll-out is
    `late`, and what is wrong."""

    phase: InferencePhase
    available: bool = False
    unreachable: bool = False
    late: bool = False
    refused: Trouble | None = None
    waiting: Trouble | None = None
    model_failed: bool = False
    held: Trouble | None = None
    trouble: Trouble | None = None
    remark: Trouble | None = None
    pods: int = 0
    scale: Scale = ONE


def findings(stand: Stand) -> tuple[Finding, ...]:
    """Return every condition, in the order in which one holds up the next."""
    found = (_model_ready, _autoscaled, _scheduled, _available, _progressing, _degraded)
    return tuple(each(stand) for each in found)


def _model_ready(stand: Stand) -> Finding:
    if stand.refused:
        return Finding(MODEL_READY, "Unknown", "InvalidSpec", "The Model is not looked at while the spec is refused")
    if stand.waiting:
        return Finding(MODEL_READY, "False", stand.waiting.reason, stand.waiting.message)
    return Finding(MODEL_READY, "True", "Ready", "The Model can be served")


def _autoscaled(stand: Stand) -> Finding:
    """Who says how many replicas there are; how many is in the status beside it, as it moves."""
    scale = stand.scale
    if scale.autoscaler is None:
        return Finding(AUTOSCALED, "False", "SpecReplicas", "spec.replicas says how many replicas there are")
    who = f"HorizontalPodAutoscaler {scale.autoscaler}"
    if not scale.is_handed_over:
        return Finding(AUTOSCALED, "False", "Stopped", f"spec.replicas is 0, which {who} does not change")
    said = f"{who} says how many replicas the Deployment has; spec.replicas counts where it is made anew, or is 0"
    return Finding(AUTOSCALED, "True", "HorizontalPodAutoscaler", said)


def _scheduled(stand: Stand) -> Finding:
    if stand.trouble and stand.trouble.reason == UNSCHEDULABLE:
        return Finding(SCHEDULED, "False", UNSCHEDULABLE, stand.trouble.message)
    if not stand.pods:
        return Finding(SCHEDULED, "Unknown", "NoPods", "There are no pods")
    return Finding(SCHEDULED, "True", "Scheduled", "Every pod has a node")


def _available(stand: Stand) -> Finding:
    if stand.available:
        return Finding(AVAILABLE, "True", "Serving", "A pod answers")
    if stand.unreachable:
        return Finding(AVAILABLE, "False", "NoEndpoints", _NO_ENDPOINTS)
    cause = stand.refused or stand.held or stand.waiting or stand.trouble
    if cause and stand.phase != "Stopped":
        return Finding(AVAILABLE, "False", cause.reason, cause.message)
    return Finding(AVAILABLE, "False", stand.phase, _unavailable(stand))


def _unavailable(stand: Stand) -> str:
    if stand.phase != "Stopped":
        return f"No pod answers yet: {stand.phase}"
    return "The autoscaler asks for 0 replicas" if stand.scale.is_handed_over else "spec.replicas is 0"


def _progressing(stand: Stand) -> Finding:
    if stand.phase in {"Ready", "Stopped"}:
        return Finding(PROGRESSING, "False", stand.phase, "There is nothing left to do")
    if stand.phase == "Failed":
        return _stuck(stand)
    if stand.held:
        return Finding(PROGRESSING, "True", stand.held.reason, stand.held.message)
    if stand.waiting:
        return Finding(PROGRESSING, "True", "WaitingForModel", stand.waiting.message)
    return Finding(PROGRESSING, "True", stand.phase, f"It is getting ready: {stand.phase}")


def _stuck(stand: Stand) -> Finding:
    cause = stand.refused or stand.trouble
    if stand.late and not stand.refused:
        why = f": {cause.message}" if cause else ""
        return Finding(PROGRESSING, "False", LATE, f"The new pods did not get ready in time{why}")
    reason, why = (cause.reason, f": {cause.message}") if cause else ("Failed", "")
    return Finding(PROGRESSING, "False", reason, f"It gets no further unless something is changed{why}")


def _degraded(stand: Stand) -> Finding:
    """Waiting for a Model that gets ready is no trouble; one that cannot is."""
    missing = stand.waiting if stand.model_failed and stand.phase != "Stopped" else None
    held = stand.held if stand.phase != "Stopped" else None
    cause = stand.refused or held or missing or stand.trouble or stand.remark
    if cause:
        return Finding(DEGRADED, "True", cause.reason, cause.message)
    return Finding(DEGRADED, "False", "AsExpected", "Nothing is wrong")
