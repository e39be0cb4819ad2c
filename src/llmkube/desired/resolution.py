"""What is known of a model before its bytes are there: from its header, or from what the status said earlier.

Pure. What the status says of the same source stands: neither a restarted operator nor an edit of something else asks
the source again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmkube.api.conditions import RESOLVED
from llmkube.desired.fetch_result import LARGEST
from llmkube.desired.pod_trouble import Trouble
from llmkube.gguf.packed import is_current
from llmkube.models.licence import is_allowed

if TYPE_CHECKING:
    from datetime import datetime

    from llmkube.api.model import GGUFFacts, ModelMemory, ModelSpec, ModelStatus, Projector
    from llmkube.desired.fetch_result import Done


@dataclass(frozen=True, slots=True)
class Known:
    """Sizes in bytes; no facts when the header cannot be read from here (the file is in a claim).

    `sha256` is what the source states of the bytes, or what they were verified to be. `memory` counts the projector.
    """

    size_bytes: int | None
    etag: str | None = None
    revision: str | None = None
    sha256: str | None = None
    facts: GGUFFacts | None = None
    memory: ModelMemory | None = None
    projector: Projector | None = None

    @property
    def bytes_needed(self) -> int | None:
        """Room that the files take, the projector's included; None while the model's own is not known."""
        if self.size_bytes is None:
            return None
        return self.size_bytes + ((self.projector.size_bytes or 0) if self.projector else 0)


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The source did not answer as it should; `permanent` while the same question would get the same answer.

    `attempts` counts the questions, `again` is when the next one is asked at the latest, None when none is.
    """

    trouble: Trouble
    permanent: bool
    attempts: int = 1
    again: datetime | None = None
    retry_after: float | None = None
    """Seconds that the server asks to wait."""

    @property
    def told(self) -> Trouble:
        """The trouble, and what is done about it."""
        if self.again is None:
            return self.trouble
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        line = f"{self.trouble.message} (asked {times}, again at about {clock_time(self.again)})"
        return Trouble(self.trouble.reason, line)


Resolution = Known | Unresolved


def confirmed(known: Known, done: Done) -> Known:
    """Return what is known once the very bytes were read: what they say counts before what was said of them.

    But for the licence, which is not the bytes' to say alone: a sidecar beside them may have corrected it; and for a
    layout that was too long for the fetch's last words. What was said of other bytes, before they changed on the way,
    is no longer stated by anybody.
    """
    if done.facts is None:
        return known
    is_same = _are_the_same(known, done)
    stated = known.facts.license if known.facts and is_same else None
    facts = done.facts.model_copy(update={"license": stated or done.facts.license})
    needs = done.needs
    if needs is not None and needs.layout is None and known.memory is not None and is_same:
        needs = needs.model_copy(update={"layout": known.memory.layout})
    if needs is not None and done.projector is not None:
        needs = with_weights(needs, done.projector.bytes)
    return replace(known, facts=facts, memory=needs or known.memory)


def with_weights(memory: ModelMemory, more: int) -> ModelMemory:
    """Return it with so many bytes more of weights; nobody validates a copy, and an API server refuses more."""
    return memory.model_copy(update={"weights": min(memory.weights + more, LARGEST)})


def _are_the_same(known: Known, done: Done) -> bool:
    """Whether the bytes that were fetched are those that were looked at, as far as the source tells them apart."""
    pairs = ((known.etag, done.etag), (known.size_bytes, done.bytes))
    return all(before == after for before, after in pairs if before and after)


def clock_time(moment: datetime) -> str:
    """Return the time of day for a message: `22:04:05Z`."""
    return moment.strftime("%H:%M:%SZ")


def remembered(previous: ModelStatus, spec: ModelSpec, *, generation: int) -> Known | None:
    """Return what the status says of the source that the spec names.

    Another policy that refuses its licence is a reason to ask again: only then a sidecar is looked for. So is a layout
    that an operator of another version has packed.
    """
    found = next((each for each in previous.conditions if each.type == RESOLVED), None)
    if found is None or found.status != "True" or previous.source != spec.source:
        return None
    if spec.mmproj_source != (previous.mmproj.source if previous.mmproj else None):
        return None
    if found.observed_generation != generation and _is_refused(previous, spec):
        return None
    if previous.memory and previous.memory.layout and not is_current(previous.memory.layout):
        return None
    return Known(
        size_bytes=previous.size_bytes,
        etag=previous.etag,
        revision=previous.revision,
        sha256=previous.sha256,
        facts=previous.gguf,
        memory=previous.memory,
        projector=previous.mmproj,
    )


def _is_refused(previous: ModelStatus, spec: ModelSpec) -> bool:
    stated = previous.gguf.license if previous.gguf else None
    return spec.license is not None and not is_allowed(stated, spec.license.allow)
