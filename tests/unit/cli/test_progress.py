"""Progress as it is written: sequences of objects in, lines or rows out."""

from __future__ import annotations

import io
from typing import Any

import pytest

from llmkube.cli.progress import Lines, Rows, display

DOWNLOAD = {"phase": "Downloading", "sizeBytes": 100_000_000}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def told(display: Any, views: list[Any]) -> None:
    with display:
        for old, new in zip([None, *views], views, strict=False):
            display.show(old, new)


def test_a_log_gets_one_line_for_each_phase(seen: Any) -> None:
    stream, now = io.StringIO(), iter([0.0, 0.1, 0.5, 2.0])
    some = {**DOWNLOAD, "progress": {"bytes": 50_000_000, "percent": 50, "bytesPerSecond": 1}}
    views = [seen("Model", DOWNLOAD), seen("Model", some), seen("Model", {"phase": "Verifying"})]
    told(Lines(stream, lambda: next(now)), [*views, seen("Model", {"phase": "Ready"})])
    assert stream.getvalue().splitlines() == [
        "   0.1s  model/smollm2: downloading 100.0 MB",
        "   0.5s  model/smollm2: verifying",
        "   2.0s  model/smollm2: ready",
    ]


def test_a_terminal_gets_a_row_that_ends_with_a_tick(seen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    told(Rows(stream), [seen("Model", DOWNLOAD), seen("Model", {"phase": "Ready"})])
    last = stream.getvalue().rpartition("model/smollm2")
    assert last[0].endswith("✓\x1b[0m ")
    assert "ready" in last[2]


def test_rows_are_for_terminals_and_lines_for_everything_else() -> None:
    assert isinstance(display(Terminal()), Rows)
    assert isinstance(display(io.StringIO()), Lines)
