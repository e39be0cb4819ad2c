"""What caches hold, as tables for people and as one document for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from llmkube.cli.output import aligned, duration, printable, size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from llmkube.models.collect import BlobEntry, Inventory, PartialEntry

SHORT = 12


def state(inventory: Inventory, sha256: str) -> str:
    """Used by a model, pinned, or unused: only the last may go by itself."""
    if any(sha256 in each.blobs for each in inventory.links):
        return "used"
    return "pinned" if any(sha256 in each.blobs for each in inventory.pins) else "unused"


def users(inventory: Inventory, sha256: str) -> list[str]:
    """NAMESPACE/NAME/FILE of every link to a blob."""
    links = ((each.model, *file) for each in inventory.links for file in each.files)
    return sorted({f"{model}/{name}" for model, name, target in links if target == sha256})


def pins(inventory: Inventory, sha256: str) -> list[str]:
    """Names of the pins that keep a blob."""
    return sorted(each.name for each in inventory.pins if sha256 in each.blobs)


def as_tables(caches: Sequence[tuple[Path, Inventory]], *, now: float, wide: bool) -> str:
    """A heading for each cache, its blobs, and its partial files where there are some."""
    return "\n".join(_section(root, inventory, now, wide=wide) for root, inventory in caches)


def _section(root: Path, inventory: Inventory, now: float, *, wide: bool) -> str:
    unused = sum(blob.size for blob in inventory.unused)
    total = sum(blob.size for blob in inventory.blobs) + sum(each.size for each in inventory.partials)
    lines = [f"{root}: {size(total)}, of which {size(unused)} unused\n"]
    if inventory.blobs or inventory.missing:
        head = ["DIGEST", "SIZE", "STATE", "LAST USED", "USED BY"]
        rows = [_blob(inventory, blob, now, wide=wide) for blob in inventory.blobs]
        lines.append(aligned([head, *rows, *(_missing(inventory, each, wide=wide) for each in inventory.missing)]))
    if inventory.partials:
        lines.append(
            aligned(
                [
                    ["PARTIAL", "FETCHED", "OF", "ON DISK", "STATE", "AGE"],
                    *(_partial(each, now) for each in inventory.partials),
                ]
            )
        )
    return "".join(lines)


def _blob(inventory: Inventory, blob: BlobEntry, now: float, *, wide: bool) -> list[str]:
    name = blob.sha256 if wide else blob.sha256[:SHORT]
    used = duration(now - blob.used)
    return [name, size(blob.size), state(inventory, blob.sha256), used, _who(inventory, blob.sha256)]


def _missing(inventory: Inventory, sha256: str, *, wide: bool) -> list[str]:
    return [sha256 if wide else sha256[:SHORT], printable(None), "missing", printable(None), _who(inventory, sha256)]


def _who(inventory: Inventory, sha256: str) -> str:
    return printable(", ".join([*users(inventory, sha256), *(f"pin {name}" for name in pins(inventory, sha256))]))


def _partial(partial: PartialEntry, now: float) -> list[str]:
    return [
        printable(partial.filename or partial.key[:SHORT]),
        size(partial.noted),
        "?" if partial.total is None else size(partial.total),
        size(partial.size),
        "fetching" if partial.busy else "broken off",
        duration(now - partial.changed),
    ]


def as_document(caches: Sequence[tuple[Path, Inventory]]) -> dict[str, Any]:
    """Sizes in bytes, times in RFC 3339."""
    return {"caches": [_document(root, inventory) for root, inventory in caches]}


def _document(root: Path, inventory: Inventory) -> dict[str, Any]:
    return {
        "path": str(root),
        "bytes": sum(blob.size for blob in inventory.blobs),
        "unusedBytes": sum(blob.size for blob in inventory.unused),
        "blobs": [_blob_record(inventory, each) for each in inventory.blobs],
        "missing": [{"sha256": each, "models": users(inventory, each)} for each in inventory.missing],
        "pins": [
            {"name": each.name, "source": each.source, "files": dict(each.files), "made": _time(each.made)}
            for each in inventory.pins
        ],
        "partials": [_partial_record(each) for each in inventory.partials],
    }


def _blob_record(inventory: Inventory, blob: BlobEntry) -> dict[str, Any]:
    return {
        "sha256": blob.sha256,
        "size": blob.size,
        "state": state(inventory, blob.sha256),
        "models": users(inventory, blob.sha256),
        "pins": pins(inventory, blob.sha256),
        "lastUsed": _time(blob.used),
    }


def _partial_record(partial: PartialEntry) -> dict[str, Any]:
    return {
        "key": partial.key,
        "file": partial.filename,
        "size": partial.size,
        "fetched": partial.noted,
        "total": partial.total,
        "fetching": partial.busy,
        "changed": _time(partial.changed),
    }


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
