"""The conditions of a Model: Resolved, Cached, Available, Progressing, Degraded, from where the model stands.

Pure. Every type is found every time; no message holds a number that moves while nothing happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llmkube.api import quantity
from llmkube.api.conditions import AVAILABLE, CACHED, DEGRADED, PROGRESSING, RESOLVED
from llmkube.desired.conditions import Finding
from llmkube.desired.fetch_state import by_job
from llmkube.desired.resolution import clock_time
from llmkube.desired.verdict import summary

if TYPE_CHECKING:
    from datetime import datetime

    from llmkube.api.model import ModelPhase
    from llmkube.desired.fetch_result import Done
    from llmkube.desired.pod_trouble import Trouble
    from llmkube.desired.resolution import Known


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a model stands: the stage that it is at, what troubles it there, and when that is tried again.

    `remark` is wrong too, and stops nothing. `unwanted` holds it before the fetch, without any trouble; `kept` says
    that bytes of before are still there.
    """

    phase: ModelPhase
    at: Literal["spec", "source", "policy", "cache", "pods"]
    trouble: Trouble | None = None
    remark: Trouble | None = None
    known: Known | None = None
    done: Done | None = None
    job: str = ""
    again: datetime | None = None
    unwanted: bool = False
    kept: bool = False


def findings(stand: Stand) -> tuple[Finding, ...]:
    """Return every condition, in the order in which one holds up the next."""
    return (_resolved(stand), _cached(stand), _available(stand), _progressing(stand), _degraded(stand))


def _resolved(stand: Stand) -> Finding:
    if stand.known:
        return Finding(RESOLVED, "True", "Resolved", summary(stand.known))
    if stand.trouble and stand.at == "source":
        return Finding(RESOLVED, "False", stand.trouble.reason, stand.trouble.message)
    if stand.at == "spec":
        return Finding(RESOLVED, "Unknown", "InvalidSpec", "The source is not looked at while the spec is refused")
    return Finding(RESOLVED, "Unknown", "Resolving", "The source is asked for its size and its header")


def _cached(stand: Stand) -> Finding:
    if stand.at == "pods":
        return Finding(CACHED, "False", "Ephemeral", "spec.cache.mode is Ephemeral: each pod fetches for itself")
    if stand.done:
        size = quantity.format_bytes(stand.done.bytes)
        return Finding(CACHED, "True", "Verified", by_job(f"{size} verified in the cache", stand.job))
    if stand.at == "cache" and stand.trouble:
        message = by_job(stand.trouble.message, stand.job) if stand.job else stand.trouble.message
        return Finding(CACHED, "False", stand.trouble.reason, message)
    if stand.unwanted:
        return Finding(
            CACHED, "False", "NotWanted", "spec.cache.prefetch is false, and no InferenceService refers to it"
        )
    if stand.at == "cache":
        return Finding(CACHED, "False", "Fetching", f"Job {stand.job} fetches" if stand.job else "The claim is made")
    if stand.at == "policy":
        return Finding(CACHED, "False", "NotAccepted", "What is refused is not fetched, nor served if it was")
    return Finding(CACHED, "False", "NotResolved", "Nothing is fetched before the source is resolved and accepted")


def _available(stand: Stand) -> Finding:
    """About what this spec asks for: bytes of before may go on serving, and that is said."""
    if stand.phase == "Ready":
        return Finding(AVAILABLE, "True", "Ready", "Services can serve it")
    before = "; pods that serve the bytes of before go on" if stand.kept else ""
    if stand.trouble:
        return Finding(AVAILABLE, "False", stand.trouble.reason, f"{stand.trouble.message}{before}")
    if stand.unwanted:
        return Finding(AVAILABLE, "False", "NotWanted", "It is fetched when an InferenceService refers to it")
    return Finding(AVAILABLE, "False", stand.phase, f"It is not ready yet: {stand.phase}{before}")


def _progressing(stand: Stand) -> Finding:
    if stand.phase == "Ready":
        return Finding(PROGRESSING, "False", "Ready", "There is nothing left to do")
    if stand.phase == "Failed" and stand.again:
        return Finding(PROGRESSING, "False", "Failed", f"It is tried again at about {clock_time(stand.again)}")
    if stand.phase == "Failed":
        return Finding(PROGRESSING, "False", "Failed", "Nothing is tried again until the spec changes")
    if stand.unwanted:
        return Finding(PROGRESSING, "False", "NotWanted", "Nothing is done until an InferenceService refers to it")
    return Finding(PROGRESSING, "True", stand.phase, f"It is getting ready: {stand.phase}")


def _degraded(stand: Stand) -> Finding:
    if wrong := stand.trouble or stand.remark:
        return Finding(DEGRADED, "True", wrong.reason, wrong.message)
    return Finding(DEGRADED, "False", "AsExpected", "Nothing is wrong")
