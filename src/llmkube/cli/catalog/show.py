"""How the catalogue is told: a table, one model in full, and the documents that deploying it would apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.api.quantity import format_bytes
from llmkube.cli.catalog import memory
from llmkube.cli.catalog.entries import manifest
from llmkube.cli.deploy import Wishes, manifests
from llmkube.cli.output import Column, aligned, as_json, as_yaml, printable, short_count, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.cli.catalog.check import Checked
    from llmkube.cli.catalog.entries import Entry, Quantization

Manifest = dict[str, Any]
UNKNOWN = "not recorded"


@dataclass(frozen=True)
class Listed:
    """A model, and the bytes that its first quantisation needs at the listing's context."""

    entry: Entry
    memory: int

    @classmethod
    def of(cls, entry: Entry) -> Listed:
        """Plan the model's memory."""
        return cls(entry, memory.needed(entry, entry.quantizations[0], memory.LISTED))

    def suits(self, task: str | None, licence: str | None) -> bool:
        """Whether it is for this task and under this licence; None suits all."""
        from llmkube.models.licence import is_same

        return (task is None or task in self.entry.tasks) and (licence is None or is_same(licence, self.entry.license))


_COLUMNS = (
    Column("ID", lambda row: row["entry"].id),
    Column("TASKS", lambda row: ",".join(row["entry"].tasks)),
    Column("PARAMETERS", lambda row: short_count(row["entry"].parameters)),
    Column("LICENSE", lambda row: row["entry"].license),
    Column("CONTEXT", lambda row: row["entry"].context_length),
    Column("QUANTIZATIONS", lambda row: ",".join(one.name for one in row["entry"].quantizations)),
    Column("MEMORY", lambda row: format_bytes(row["memory"])),
    Column("DESCRIPTION", lambda row: row["entry"].description, wide=True),
)


def listing(found: Sequence[Listed], form: str) -> str:
    """Return the models in the form that was asked for."""
    if form == "name":
        return "".join(f"{each.entry.id}\n" for each in found)
    if form in {"table", "wide"}:
        return table(_COLUMNS, [{"entry": each.entry, "memory": each.memory} for each in found], wide=form == "wide")
    told = {"models": [{**manifest(each.entry), "memoryBytes": each.memory} for each in found]}
    return as_json(told) if form == "json" else as_yaml(told)


def told(entry: Entry) -> Manifest:
    """Return all of a model for programs: the entry, its memory in bytes by quantisation and context, its documents."""
    bytes_by_context = {
        name: {str(context): size for context, size in row.items()} for name, row in memory.table(entry).items()
    }
    return {**manifest(entry), "memoryBytes": bytes_by_context, "manifests": list(_documents(entry))}


def described(entry: Entry) -> str:
    """Return all of a model for people."""
    rows: list[tuple[str, object]] = [
        ("ID", entry.id),
        ("DESCRIPTION", entry.description),
        ("TASKS", ", ".join(entry.tasks)),
        ("LICENSE", entry.license),
        ("ARCHITECTURE", entry.architecture),
        ("PARAMETERS", short_count(entry.parameters)),
        ("CONTEXT", f"{entry.context_length} tokens"),
        ("PROJECTOR", entry.mmproj),
        ("NOTES", entry.notes),
    ]
    cache = "an f16 KV cache, the projector not counted" if entry.mmproj else "an f16 KV cache"
    parts = (
        aligned([[title, printable(value)] for title, value in rows if value]),
        aligned([["QUANTIZATION", "SIZE", "SHA256", "SOURCE"], *(_file(entry, one) for one in entry.quantizations)]),
        f"Memory by context, for one request at a time, all on one device, with {cache}:\n{_memory(entry)}",
        f"`llmkube catalog deploy {entry.id}` applies:\n" + "---\n".join(as_yaml(each) for each in _documents(entry)),
    )
    return "\n".join(parts)


def compared(found: Sequence[Checked], form: str) -> str:
    """Return what differs from the sources, file by file."""
    if form == "json":
        files = [
            {"id": each.entry.id, "quantization": each.quantization.name, "differences": list(each.differences)}
            for each in found
        ]
        return as_json({"files": files})
    rows = [
        [each.entry.id, each.quantization.name, line] for each in found for line in each.differences or ("as said",)
    ]
    return aligned([["ID", "QUANTIZATION", "SOURCE"], *([printable(cell) for cell in row] for row in rows)])


def wishes(entry: Entry, quantization: Quantization, mirror: str | None = None, **others: Any) -> Wishes:
    """Return what `llmkube deploy` is asked for, for one file; from below `mirror` when there is one.

    Projectors of many models have one name, so that a mirror has each in a folder of the model's id.
    """
    source, mmproj = entry.source_of(quantization), entry.mmproj
    if mirror:
        source = _below(mirror, source)
        mmproj = mmproj and _below(f"{mirror.rstrip('/')}/{entry.id}", mmproj)
    given = {"quantization": quantization.name, "sha256": quantization.sha256, "mmproj": mmproj, "mode": entry.mode}
    return Wishes(source=source, **{**given, **others})


def name_of(entry: Entry) -> str:
    """Return what is made of it is called: a Service's name has no dots."""
    return entry.id.replace(".", "-")


def _below(mirror: str, source: str) -> str:
    return f"{mirror.rstrip('/')}/{source.rpartition('/')[2].partition('@')[0]}"


def _documents(entry: Entry) -> tuple[Manifest, Manifest]:
    return manifests(name_of(entry), wishes(entry, entry.quantizations[0]))


def _file(entry: Entry, one: Quantization) -> list[str]:
    weights = memory.facts_of(entry, one).weights_bytes
    size = format_bytes(one.size_bytes) if one.size_bytes else f"about {format_bytes(weights)}"
    return [one.name, size, one.sha256 or UNKNOWN, entry.source_of(one)]


def _memory(entry: Entry) -> str:
    planned = memory.table(entry)
    titles = ["QUANTIZATION", *(f"{context // 1024}K" for context in memory.contexts(entry))]
    return aligned([titles, *([name, *map(format_bytes, row.values())] for name, row in planned.items())])
