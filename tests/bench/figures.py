"""A figure: what was measured, against what, and whether it is where it should be. As a table, and as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """`value` in `unit`; `target` is a bound of `value`, which `at_least` says is the lower one."""

    name: str
    value: float
    unit: str
    against: str = ""
    target: float | None = None
    at_least: bool = True

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "met" if (self.value >= self.target if self.at_least else self.value <= self.target) else "MISSED"

    @property
    def bound(self) -> str:
        return "" if self.target is None else f"{'>=' if self.at_least else '<='} {self.target:g}"


def table(figures: list[Figure]) -> str:
    """Columns as wide as what is in them."""
    head = ("FIGURE", "VALUE", "UNIT", "AGAINST", "TARGET", "")
    rows = [head, *((f.name, f"{f.value:,.4g}", f.unit, f.against, f.bound, f.verdict) for f in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def write(figures: list[Figure], file: Path) -> None:
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    told = [{**asdict(each), "verdict": each.verdict} for each in figures]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": machine, "figures": told}, indent=2) + "\n")
