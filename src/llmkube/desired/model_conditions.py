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

if TYPE_CHECKING:
    from llmkube.api.model import ModelPhase
    from llmkube.desired.fetch_result import Done
    from llmkube.desired.pod_trouble import Trouble
    from llmkube.desired.resolution import Known


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a model stands: the stage that it is at, and what troubles it there."""

    phase: ModelPhase
    at: Literal["spec", "source", "policy", "cache", "pods"]
    trouble: Trouble | None = None
    known: Known | None = None
    done: Done | None = None
    job: str = ""


def findings(stand: Stand) -> tuple[Finding, ...]:
    """Return every condition, in the order in which one holds up the next."""
    return (_resolved(stand), _cached(stand), _available(stand), _progressing(stand), _degraded(stand))


def _resolved(stand: Stand) -> Finding:
    if stand.known:
        return Finding(RESOLVED, "True", "Resolved", _told(stand.known))
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
    if stand.at == "cache":
        return Finding(CACHED, "False", "Fetching", f"Job {stand.job} fetches" if stand.job else "The claim is made")
    return Finding(CACHED, "False", "NotResolved", "Nothing is fetched before the source is resolved and accepted")


def _available(stand: Stand) -> Finding:
    if stand.phase == "Ready":
        return Finding(AVAILABLE, "True", "Ready", "Services can serve it")
    if stand.trouble:
        return Finding(AVAILABLE, "False", stand.trouble.reason, stand.trouble.message)
    return Finding(AVAILABLE, "False", stand.phase, f"It is not ready yet: {stand.phase}")


def _progressing(stand: Stand) -> Finding:
    if stand.phase == "Ready":
        return Finding(PROGRESSING, "False", "Ready", "There is nothing left to do")
    if stand.phase == "Failed":
        return Finding(PROGRESSING, "False", "Failed", "Nothing is tried again until the spec changes")
    return Finding(PROGRESSING, "True", stand.phase, f"It is getting ready: {stand.phase}")


def _degraded(stand: Stand) -> Finding:
    if stand.trouble:
        return Finding(DEGRADED, "True", stand.trouble.reason, stand.trouble.message)
    return Finding(DEGRADED, "False", "AsExpected", "Nothing is wrong")


def _told(known: Known) -> str:
    size = quantity.format_bytes(known.size_bytes) if known.size_bytes else "size unknown"
    facts = known.facts
    told = (size, facts and facts.architecture, facts and facts.quantization)
    return ", ".join(each for each in told if each)
