"""Which bytes of a file a connection fetches next. Values only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.models.extents import Extents, Range


def next_span(written: Extents, claimed: Iterable[Range], *, end: int, most: int) -> Range | None:
    """The first bytes below `end` that are neither written nor claimed by another connection, at most `most`."""
    taken = written
    for each in claimed:
        taken = taken.having(*each)
    missing = taken.missing(0, end)
    if not missing:
        return None
    start, last = missing[0]
    return (start, min(last, start + most))


def uncovered(written: Extents, start: int, pieces: list[bytes]) -> list[tuple[int, list[bytes]]]:
    """Of bytes that arrived, those that are not written yet, and where they belong: a stream may bring all anew."""
    end = start + sum(map(len, pieces))
    missing = written.missing(start, end)
    if missing == ((start, end),):
        return [(start, pieces)]
    whole = b"".join(pieces)
    return [(first, [whole[first - start : last - start]]) for first, last in missing]
