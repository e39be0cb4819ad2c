"""The plan beside what the engine logged, buffer by buffer, and beside what the peer says; as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from tests.certify.cases import Case
from tests.certify.engine import MIB, Loaded

from llmkube.gguf.plan.buffers import Buffers, MemoryPlan

BUFFERS = ("model", "kv", "kv_swa", "recurrent", "compute", "output")
# Of each buffer: bytes, and parts of what was logged. The larger of the two is allowed.
ALLOWED: Mapping[str, tuple[float, float]] = dict.fromkeys(BUFFERS, (1 * MIB, 0.01)) | {"compute": (8 * MIB, 0.05)}

EXACT = MIB // 50
"""The log has hundredths of a MiB."""


@dataclass(frozen=True)
class Row:
    """One buffer of one device, in bytes. `device` -1 is the host. `peer` None: the peer does not tell it apart."""

    model: str
    options: str
    device: int
    buffer: str
    planned: int
    logged: int
    peer: int | None = None

    @property
    def error(self) -> int:
        return self.planned - self.logged

    @property
    def is_allowed(self) -> bool:
        least, part = ALLOWED[self.buffer]
        return abs(self.error) <= max(least, part * self.logged)


def rows(case: Case, planned: MemoryPlan, loaded: Loaded, peer: Mapping[str, int] | None = None) -> list[Row]:
    """Every buffer that the plan or the engine has."""
    places = [(-1, planned.host, loaded.host), *zip(range(99), planned.devices, loaded.devices, strict=False)]
    return [
        Row(case.name, case.told, device, name, getattr(plan, name), getattr(log, name), _of(peer, name, loaded.host))
        for device, plan, log in places
        for name in BUFFERS
        if getattr(plan, name) or getattr(log, name)
    ]


def summed(planned: MemoryPlan) -> MemoryPlan:
    """All that is kept of tokens as one buffer, as the engine tells of it when it only tries."""
    return replace(planned, host=_summed(planned.host), devices=tuple(map(_summed, planned.devices)))


def _summed(of: Buffers) -> Buffers:
    return replace(of, kv=of.kv + of.kv_swa + of.recurrent, kv_swa=0, recurrent=0)


def _of(peer: Mapping[str, int] | None, name: str, host: Buffers) -> int | None:
    """The peer's number for a buffer; its two caches are one number, which is told where the engine has one cache."""
    if peer is None or (name.startswith("kv") and host.kv and host.kv_swa):
        return None
    return peer.get("kv" if name == "kv_swa" else name)


def table(found: Sequence[Row]) -> str:
    """One line for each model and kind of buffer: how far off the plan is at the most, and the peer."""
    head = ("MODEL", "BUFFER", "LOADED", "LOGGED MiB", "OURS OFF BY MiB", "%", "PEER OFF BY MiB", "%", "")
    lines = [head]
    for model, buffer in dict.fromkeys((row.model, row.buffer) for row in found):
        mine = [row for row in found if (row.model, row.buffer) == (model, buffer)]
        lines.append(_line(model, buffer, mine))
    return _columns(lines)


def _columns(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def summary(found: Sequence[Row]) -> str:
    """One line for each kind of buffer: how many were compared, how many are exact, and how many of the peer's pass."""
    head = ("BUFFER", "COMPARED", "WITHIN 0.02 MiB", "ALLOWED", "WORST MiB", "PEER ASKED", "ALLOWED", "WORST MiB")
    lines = [head, *(_sums(name, [row for row in found if row.buffer == name]) for name in BUFFERS)]
    return _columns(lines)


def _sums(name: str, mine: Sequence[Row]) -> tuple[str, ...]:
    errors = [abs(row.error) for row in mine]
    peers = [replace(row, planned=row.peer) for row in mine if row.peer is not None]
    counts = (len(mine), sum(error <= EXACT for error in errors), sum(row.is_allowed for row in mine))
    worst = _mib(max(errors, default=0))
    if not peers:
        return name, *map(str, counts), worst, "", "", ""
    allowed = sum(row.is_allowed for row in peers)
    return name, *map(str, counts), worst, str(len(peers)), str(allowed), _mib(max(abs(row.error) for row in peers))


def _line(model: str, buffer: str, mine: Sequence[Row]) -> tuple[str, ...]:
    worst = max(mine, key=lambda row: abs(row.error))
    sizes = [row.logged for row in mine]
    peers = [(row.peer - row.logged, row.logged) for row in mine if row.peer is not None]
    peer = max(peers, key=lambda pair: abs(pair[0])) if peers else None
    verdict = "" if all(row.is_allowed for row in mine) else "NOT ALLOWED"
    logged = f"{_mib(min(sizes))}-{_mib(max(sizes))}" if min(sizes) != max(sizes) else _mib(sizes[0])
    ours = (f"{worst.error / MIB:+.2f}", _part(worst.error, worst.logged))
    theirs = (f"{peer[0] / MIB:+.2f}", _part(*peer)) if peer else ("", "")
    return model, buffer, str(len(mine)), logged, *ours, *theirs, verdict


def _mib(size: int) -> str:
    return f"{size / MIB:.2f}"


def _part(error: int, logged: int) -> str:
    return f"{100 * error / logged:+.1f}" if logged else "new"


def as_json(found: Iterable[Row]) -> list[dict[str, object]]:
    return [{**asdict(row), "error": row.error, "allowed": row.is_allowed} for row in found]
