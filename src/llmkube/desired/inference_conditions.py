"""The conditions of an InferenceService: ModelReady, Scheduled, Available, Progressing, Degraded.

Pure. Every type is found every time; no message holds a number that moves while nothing happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.api.conditions import AVAILABLE, DEGRADED, MODEL_READY, PROGRESSING, SCHEDULED
from llmkube.desired.conditions import Finding
from llmkube.desired.pod_trouble import UNSCHEDULABLE

if TYPE_CHECKING:
    from llmkube.api.inference_status import InferencePhase
    from llmkube.desired.pod_trouble import Trouble


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a service stands: its phase, whether a pod answers, and what is wrong."""

    phase: InferencePhase
    available: bool = False
    refused: Trouble | None = None
    waiting: Trouble | None = None
    model_failed: bool = False
    trouble: Trouble | None = None
    remark: Trouble | None = None
    pods: int = 0


def findings(stand: Stand) -> tuple[Finding, ...]:
    """Return every condition, in the order in which one holds up the next."""
    return (_model_ready(stand), _scheduled(stand), _available(stand), _progressing(stand), _degraded(stand))


def _model_ready(stand: Stand) -> Finding:
    if stand.refused:
        return Finding(MODEL_READY, "Unknown", "InvalidSpec", "The Model is not looked at while the spec is refused")
    if stand.waiting:
        return Finding(MODEL_READY, "False", stand.waiting.reason, stand.waiting.message)
    return Finding(MODEL_READY, "True", "Ready", "The Model can be served")


def _scheduled(stand: Stand) -> Finding:
    if stand.trouble and stand.trouble.reason == UNSCHEDULABLE:
        return Finding(SCHEDULED, "False", UNSCHEDULABLE, stand.trouble.message)
    if not stand.pods:
        return Finding(SCHEDULED, "Unknown", "NoPods", "There are no pods")
    return Finding(SCHEDULED, "True", "Scheduled", "Every pod has a node")


def _available(stand: Stand) -> Finding:
    if stand.available:
        return Finding(AVAILABLE, "True", "Serving", "A pod answers")
    cause = stand.refused or stand.waiting or stand.trouble
    if cause and stand.phase != "Stopped":
        return Finding(AVAILABLE, "False", cause.reason, cause.message)
    said = "spec.replicas is 0" if stand.phase == "Stopped" else f"No pod answers yet: {stand.phase}"
    return Finding(AVAILABLE, "False", stand.phase, said)


def _progressing(stand: Stand) -> Finding:
    if stand.phase in {"Ready", "Stopped"}:
        return Finding(PROGRESSING, "False", stand.phase, "There is nothing left to do")
    if stand.phase == "Failed":
        return Finding(PROGRESSING, "False", "Failed", "It gets no further unless something is changed")
    if stand.waiting:
        return Finding(PROGRESSING, "True", "WaitingForModel", stand.waiting.message)
    return Finding(PROGRESSING, "True", stand.phase, f"It is getting ready: {stand.phase}")


def _degraded(stand: Stand) -> Finding:
    """Waiting for a Model that gets ready is no trouble; one that cannot is."""
    missing = stand.waiting if stand.model_failed and stand.phase != "Stopped" else None
    cause = stand.refused or missing or stand.trouble or stand.remark
    if cause:
        return Finding(DEGRADED, "True", cause.reason, cause.message)
    return Finding(DEGRADED, "False", "AsExpected", "Nothing is wrong")
