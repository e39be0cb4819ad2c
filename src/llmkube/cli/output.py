"""What is listed, in the form that was asked for: `-o table|wide|json|yaml|name`.

Tables are plain columns, as kubectl's, never cut: a pipe gets the same text as a terminal. Text that came from the
cluster loses its control characters before it is printed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Manifest = dict[str, Any]
F = TypeVar("F", bound="Callable[..., Any]")
GAP = "   "
NOTHING = "<none>"
_STEPS = ((60, "s"), (60, "m"), (24, "h"), (365, "d"))


@dataclass(frozen=True)
class Column:
    """One column of a table; a wide one shows only with `-o wide`."""

    title: str
    value: Callable[[Manifest], object]
    wide: bool = False


def output_option(*forms: str, default: str = "table") -> Callable[[F], F]:
    """Add `-o` with these forms to a command; it gets `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(forms),
        default=default,
        show_default=bool(default),
        help="Form of the output.",
    )


def documents(items: Sequence[Manifest], form: str) -> str:
    """Return manifests as JSON (a List when there are several), YAML documents, or names."""
    shown = [without_managed_fields(item) for item in items]
    match form:
        case "json":
            return as_json(shown[0] if len(shown) == 1 else as_list(shown))
        case "yaml":
            return "---\n".join(as_yaml(item) for item in shown)
    return "\n".join(reference(item) for item in shown) + ("\n" if shown else "")


def listing(items: Sequence[Manifest], form: str) -> str:
    """Return a listing as JSON or YAML, always a List however many there are, or as names."""
    shown = [without_managed_fields(item) for item in items]
    match form:
        case "json":
            return as_json(as_list(shown))
        case "yaml":
            return as_yaml(as_list(shown))
    return documents(items, "name")


def as_list(items: Sequence[Manifest]) -> Manifest:
    """Return a List, as kubectl prints several objects."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": list(items)}


def as_json(value: Manifest) -> str:
    """Return JSON for people and programs."""
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n"


def as_yaml(value: Manifest) -> str:
    """Return a YAML document in the order of its fields."""
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)


def reference(item: Manifest) -> str:
    """Return `model.inference.llmkube.dev/smollm2`, as `-o name` prints it."""
    kind, group = str(item.get("kind", "")).lower(), str(item.get("apiVersion", "")).rpartition("/")[0]
    return f"{kind}.{group}/{name_of(item)}" if group else f"{kind}/{name_of(item)}"


def name_of(item: Manifest) -> str:
    """Return metadata.name."""
    return str((item.get("metadata") or {}).get("name", ""))


def without_managed_fields(item: Manifest) -> Manifest:
    """Return the object without the bookkeeping of server-side apply, which nobody reads."""
    metadata = {key: value for key, value in (item.get("metadata") or {}).items() if key != "managedFields"}
    return {**item, "metadata": metadata} if "metadata" in item else item


def field(path: str) -> Callable[[Manifest], object]:
    """Return a function that reads a field by its dotted path; None where it is missing."""
    steps = path.split(".")

    def read(item: Manifest) -> object:
        value: Any = item
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    return read


def table(columns: Sequence[Column], items: Sequence[Manifest], *, wide: bool = False) -> str:
    """Return the objects as plain columns."""
    shown = [column for column in columns if wide or not column.wide]
    rows = [[printable(column.value(item)) for column in shown] for item in items]
    return aligned([[column.title for column in shown], *rows])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as columns of equal width."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))] if rows else []
    lines = (GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def printable(value: object) -> str:
    """Return a value as a cell: one line without control characters, `<none>` for nothing."""
    text = NOTHING if value is None or value == "" else str(value)
    return "".join(character if character.isprintable() else " " for character in text)


def age(timestamp: object, *, now: datetime | None = None) -> str:
    """Return how long ago an RFC 3339 time was, as kubectl does: 45s, 12m, 3h, 9d, 2y."""
    try:
        moment = datetime.fromisoformat(str(timestamp))
    except ValueError:
        return "<unknown>"
    return duration(((now or datetime.now(UTC)) - moment.astimezone(UTC)).total_seconds())


def duration(seconds: float) -> str:
    """Return seconds in the largest unit that fits, with a second one while the number is small."""
    value, below, unit_below = max(0, int(seconds)), 0, ""
    for limit, unit in _STEPS:
        if value < limit * (2 if unit in "sm" else 1):
            return f"{value}{unit}{below}{unit_below}" if below and value < 10 else f"{value}{unit}"
        below, unit_below = value % limit, unit
        value //= limit
    return f"{value}y"


def size(count: float) -> str:
    """Return bytes for people: `98.4 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def short_count(number: int | None) -> str | None:
    """Return a number of parameters for people: `134.5M`."""
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number and number >= limit:
            return f"{number / limit:.1f}{unit}"
    return str(number) if number else None
