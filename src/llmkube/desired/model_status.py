"""The status of a Model, from all that was seen of it: one pure function.

    observe(sight: Sight, *, now: datetime) -> ModelStatus

A status that would say the same is the same, to the byte: `lastUpdated` and the conditions' times move only with what
they date. Nothing here may raise for what a cluster or a source says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmkube.api import quantity
from llmkube.api.model import ModelPhase, ModelSpec, ModelStatus, Progress, Projector
from llmkube.desired.conditions import merged
from llmkube.desired.fetch_result import Done, Failure, Tick
from llmkube.desired.fetch_state import Fetching, FetchState
from llmkube.desired.model_conditions import Stand, findings
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known, Resolution, Unresolved
from llmkube.desired.retained import Place, retained
from llmkube.desired.verdict import licence_trouble, remark

if TYPE_CHECKING:
    from datetime import datetime

    from llmkube.desired.fetch_job import Target

HELD_UP = frozenset({"Unschedulable", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"})


@dataclass(frozen=True, slots=True)
class Sight:
    """All that was seen. `spec` is None when it cannot be read; `refused` then says why, or what is not honoured.

    `verdict` is why the model is not accepted; `unwanted` that nobody asks for it yet; `held` what keeps the fetch from
    being started (a claim that is not there); `fetch` is None while there is none; one that failed is begun anew at
    `again`, in `retry_in` seconds. `remark` is told and stops nothing. `claim` is where the bytes are, `target` what
    their fetch is about; `gone` are bytes of before that are no longer there.
    """

    generation: int
    spec: ModelSpec | None
    previous: ModelStatus
    refused: Trouble | None = None
    resolution: Resolution | None = None
    verdict: Trouble | None = None
    unwanted: bool = False
    held: Trouble | None = None
    claim: str | None = None
    target: Target | None = None
    job_name: str = ""
    fetch: FetchState | None = None
    again: datetime | None = None
    retry_in: float | None = None
    remark: Trouble | None = None
    gone: frozenset[Place] = frozenset()


def observe(sight: Sight, *, now: datetime) -> ModelStatus:
    """Return the whole status; `now` is used only for what has changed."""
    stand = _stand(sight)
    claim = sight.claim if stand.done and stand.at == "cache" else None
    current = Place(claim, stand.done.sha256) if claim and stand.done else None
    kept = retained(sight.previous, current=current, gone=sight.gone)
    found = findings(replace(stand, kept=bool(kept)))
    status = _of_bytes(stand, sight).model_copy(
        update={
            "claim": claim,
            "last_updated": sight.previous.last_updated,
            "observed_generation": sight.generation,
            "retained": kept,
            "conditions": merged(sight.previous.conditions, found, now=now, generation=sight.generation),
        }
    )
    return dated(status, sight.previous, now=now)


def _of_bytes(stand: Stand, sight: Sight) -> ModelStatus:
    """Return the part of the status that is about the model itself."""
    known, done = stand.known, stand.done
    size = done.bytes if done and done.bytes else (known.size_bytes if known else None)
    return ModelStatus(
        phase=stand.phase,
        size=quantity.format_bytes(size) if size else None,
        size_bytes=size,
        path=done.path if done else None,
        accelerator_ready=True if sight.spec and sight.spec.hardware.accelerator == "cpu" else None,
        source=sight.spec.source if sight.spec and known else None,
        sha256=done.sha256 if done else None,
        etag=known.etag if known else None,
        revision=known.revision if known else None,
        progress=_progress(stand, sight),
        gguf=known.facts if known else None,
        memory=known.memory if known else None,
        mmproj=_projector(known, done),
    )


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
        case Unresolved() as unresolved:
            phase: ModelPhase = "Failed" if unresolved.permanent else "Resolving"
            return Stand(phase, at="source", trouble=unresolved.told, again=unresolved.again)
        case Known() as known:
            return _resolved(sight, sight.spec, known)


def _resolved(sight: Sight, spec: ModelSpec, known: Known) -> Stand:
    if sight.verdict:
        return Stand("Failed", at="policy", known=known, trouble=sight.verdict)
    if sight.unwanted:
        return Stand("Pending", at="cache", known=known, unwanted=True)
    if sight.held:
        return Stand("Pending", at="cache", known=known, trouble=sight.held)
    fetch, job = sight.fetch or Fetching(), sight.job_name
    match fetch:
        case Done():
            return _done(sight, spec, known, fetch)
        case Failure(reason, message):
            trouble = Trouble(reason, message)
            return Stand("Failed", at="cache", known=known, job=job, trouble=trouble, again=sight.again)
        case Fetching():
            phase, held_up = _phase(fetch), fetch.trouble
            return Stand(phase, at="cache", known=known, job=job, trouble=held_up, remark=sight.remark)
    return Stand("Downloading", at="cache", known=known, job=job)


def _done(sight: Sight, spec: ModelSpec, known: Known, done: Done) -> Stand:
    """A licence that nobody could read may not be one that is allowed."""
    if known.facts is None and (refused := licence_trouble(spec, known)):
        return Stand("Failed", at="policy", known=known, trouble=refused)
    told = sight.remark or remark(spec, known)
    if spec.cache.mode == "Ephemeral":
        return Stand("Ready", at="pods", known=known, done=done, remark=told)
    if spec.sha256 not in {None, done.sha256}:
        differs = f"spec.sha256: expected {spec.sha256}, found {done.sha256}; correct spec.sha256 or spec.source"
        return Stand("Failed", at="cache", known=known, trouble=Trouble("DigestMismatch", differs))
    return Stand("Ready", at="cache", known=known, done=done, job=sight.job_name, remark=told)


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
    rate = int(tick.bytes_per_second or 0)
    left = max((tick.total or 0) - tick.bytes, 0)
    return Progress(
        bytes=tick.bytes,
        percent=int(tick.percent or 0),
        bytes_per_second=rate,
        eta_seconds=-(-left // rate) if rate and tick.total else None,
    )


def _projector(known: Known | None, done: Done | None) -> Projector | None:
    """Digest and path are told of verified bytes only."""
    if known is None or known.projector is None:
        return None
    found = done.projector if done else None
    told = {"sha256": found.sha256 if found else None, "path": found.path if found else None}
    size = (found.bytes if found else 0) or known.projector.size_bytes
    return known.projector.model_copy(update={**told, "size_bytes": size})
