"""The status of a Model, from all that was seen of it: one pure function.

    observe(sight: Sight, *, now: datetime) -> ModelStatus

A status that would say the same is the same, to the byte: `lastUpdated` and the conditions' times move only with what
they date. Nothing here may raise for what a cluster or a source says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.api import quantity
from llmkube.api.model import ModelPhase, ModelSpec, ModelStatus, Progress
from llmkube.desired.conditions import merged
from llmkube.desired.fetch_result import Done, Failure, Tick
from llmkube.desired.fetch_state import Fetching, FetchState
from llmkube.desired.model_conditions import Stand, findings
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known, Resolution, Unresolved, licence_trouble, quantization_trouble

if TYPE_CHECKING:
    from datetime import datetime

HELD_UP = frozenset({"Unschedulable", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"})


@dataclass(frozen=True, slots=True)
class Sight:
    """All that was seen. `spec` is None when it cannot be read; `refused` then says why, or what is not honoured.

    `held` is what keeps the fetch from being started (a claim that is not there); `fetch` is None while there is none,
    `retry_in` the seconds until one that failed is begun anew.
    """

    generation: int
    spec: ModelSpec | None
    previous: ModelStatus
    refused: Trouble | None = None
    resolution: Resolution | None = None
    held: Trouble | None = None
    job_name: str = ""
    fetch: FetchState | None = None
    retry_in: float | None = None


def observe(sight: Sight, *, now: datetime) -> ModelStatus:
    """Return the whole status; `now` is used only for what has changed."""
    stand = _stand(sight)
    known = sight.resolution if isinstance(sight.resolution, Known) else None
    done = stand.done
    size = done.bytes if done and done.bytes else (known.size_bytes if known else None)
    status = ModelStatus(
        phase=stand.phase,
        size=quantity.format_bytes(size) if size else None,
        size_bytes=size,
        path=done.path if done else None,
        accelerator_ready=True if sight.spec and sight.spec.hardware.accelerator == "cpu" else None,
        last_updated=sight.previous.last_updated,
        observed_generation=sight.generation,
        sha256=done.sha256 if done else None,
        etag=known.etag if known else None,
        revision=known.revision if known else None,
        progress=_progress(stand, sight),
        gguf=known.facts if known else None,
        memory=known.memory if known else None,
        conditions=merged(sight.previous.conditions, findings(stand), now=now, generation=sight.generation),
    )
    return dated(status, sight.previous, now=now)


def dated(status: ModelStatus, previous: ModelStatus, *, now: datetime) -> ModelStatus:
    """Return the status with the time of its last change, which is now when it differs from the previous one."""
    if previous.last_updated is not None and status == previous:
        return previous
    return status.model_copy(update={"last_updated": now.replace(microsecond=0)})


def _stand(sight: Sight) -> Stand:
    """Each stage holds up all that come after it."""
    if sight.refused or sight.spec is None:
        return Stand("Failed", at="spec", trouble=sight.refused)
    match sight.resolution:
        case None:
            return Stand("Resolving", at="source")
        case Unresolved(trouble, permanent):
            return Stand("Failed" if permanent else "Resolving", at="source", trouble=trouble)
        case Known() as known:
            return _resolved(sight, sight.spec, known)


def _resolved(sight: Sight, spec: ModelSpec, known: Known) -> Stand:
    if refused := licence_trouble(spec, known):
        return Stand("Failed", at="policy", known=known, trouble=refused)
    if sight.held:
        return Stand("Pending", at="cache", known=known, trouble=sight.held)
    remark = quantization_trouble(spec, known)
    fetch = sight.fetch or Fetching()
    match fetch:
        case Done() if spec.cache.mode == "Ephemeral":
            return Stand("Ready", at="pods", known=known, done=fetch, trouble=remark)
        case Done() if spec.sha256 not in {None, fetch.sha256}:
            differs = f"spec.sha256: expected {spec.sha256}, found {fetch.sha256}; correct spec.sha256 or spec.source"
            return Stand("Failed", at="cache", known=known, trouble=Trouble("DigestMismatch", differs))
        case Done():
            return Stand("Ready", at="cache", known=known, done=fetch, job=sight.job_name, trouble=remark)
        case Failure(reason, message):
            return Stand("Failed", at="cache", known=known, job=sight.job_name, trouble=Trouble(reason, message))
        case Fetching():
            return Stand(_phase(fetch), at="cache", known=known, job=sight.job_name, trouble=fetch.trouble)
    return Stand("Downloading", at="cache", known=known, job=sight.job_name)


def _phase(fetch: Fetching) -> ModelPhase:
    if fetch.trouble and not fetch.running and fetch.trouble.reason in HELD_UP:
        return "Pending"
    tick = fetch.tick
    return "Verifying" if tick and tick.total and tick.bytes >= tick.total else "Downloading"


def _progress(stand: Stand, sight: Sight) -> Progress | None:
    """What was told last stands until something newer is: the pod's log is read now and then."""
    if stand.phase not in {"Downloading", "Verifying"} or not isinstance(sight.fetch, Fetching):
        return None
    return _of_tick(sight.fetch.tick) or (sight.previous.progress if sight.fetch.running else None)


def _of_tick(tick: Tick | None) -> Progress | None:
    if tick is None:
        return None
    return Progress(bytes=tick.bytes, percent=int(tick.percent or 0), bytes_per_second=int(tick.bytes_per_second or 0))
