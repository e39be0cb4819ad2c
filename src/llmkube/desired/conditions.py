"""Conditions as Kubernetes wants them merged (KEP-1623): a transition time moves only when a status does.

Pure. What a message says comes from outside too (a fetcher, a kubelet): it must never leave here longer than a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llmkube.api.conditions import Condition, Conditions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

Status = Literal["True", "False", "Unknown"]

LONGEST_MESSAGE = 1024
_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]{0,126}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Finding:
    """One aspect as it is found now: a condition that does not know yet since when."""

    type: str
    status: Status
    reason: str
    message: str


def merged(current: Conditions, new: Iterable[Finding], *, now: datetime, generation: int) -> Conditions:
    """Return the conditions in the order of `new`, each dated by `current` where its status is the same as there.

    The status has one writer, who finds every type each time: a type that `new` does not name any more is gone.
    """
    known = {each.type: each for each in current}
    return tuple(_dated(each, known.get(each.type), now=now, generation=generation) for each in new)


def status_of(conditions: Conditions, kind: str) -> Status:
    """Return the status of a type; Unknown when it is not there."""
    return next((each.status for each in conditions if each.type == kind), "Unknown")


def one_line(text: str) -> str:
    """Return text from anywhere as one printable line of at most 1024 characters."""
    text = text[: 4 * LONGEST_MESSAGE]
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


def reason_of(text: str, *, otherwise: str) -> str:
    """Return a reason from anywhere as it is when it is a CamelCase word that Kubernetes takes, else `otherwise`."""
    return text if _REASON.fullmatch(text) else otherwise


def _dated(found: Finding, known: Condition | None, *, now: datetime, generation: int) -> Condition:
    message = one_line(found.message)
    told = (found.status, found.reason, message, generation)
    if known and told == (known.status, known.reason, known.message, known.observed_generation):
        return known  # nearly always: a pass that changes nothing makes nothing anew
    return Condition(
        type=found.type,
        status=found.status,
        observed_generation=generation,
        last_transition_time=known.last_transition_time
        if known and known.status == found.status
        else now.replace(microsecond=0),
        reason=found.reason,
        message=message,
    )
