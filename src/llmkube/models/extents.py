"""Which bytes of a file are here: ranges that do not touch. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Range = tuple[int, int]
"""From the first byte to before the second."""
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Extents:
    """`ranges` are in order, not empty, and none touches the next."""

    ranges: tuple[Range, ...] = ()

    @property
    def length(self) -> int:
        """How many bytes are in it."""
        return sum(end - start for start, end in self.ranges)

    @property
    def frontier(self) -> int:
        """How many bytes there are from the beginning of the file without a gap."""
        return self.ranges[0][1] if self.ranges and self.ranges[0][0] == 0 else 0

    def having(self, start: int, end: int) -> Extents:
        """With one more range."""
        if start >= end:
            return self
        before = tuple(each for each in self.ranges if each[1] < start)
        after = tuple(each for each in self.ranges if each[0] > end)
        touching = self.ranges[len(before) : len(self.ranges) - len(after)]
        first = min(start, touching[0][0]) if touching else start
        last = max(end, touching[-1][1]) if touching else end
        return Extents((*before, (first, last), *after))

    def below(self, size: int) -> Extents:
        """Only what is of the first `size` bytes."""
        return Extents(tuple((start, min(end, size)) for start, end in self.ranges if start < size))

    def missing(self, start: int, end: int) -> tuple[Range, ...]:
        """The ranges between start and end that are not in it, in order."""
        found, at = [], start
        for first, last in self.ranges:
            if first > at and at < end:
                found.append((at, min(first, end)))
            at = max(at, last)
        return (*found, (at, end)) if at < end else tuple(found)

    def to_json(self) -> list[list[int]]:
        """As `of` reads it."""
        return [[start, end] for start, end in self.ranges]

    @staticmethod
    def of(told: Any) -> Extents | None:
        """From JSON that a crash, or somebody, may have spoiled; None when it is none."""
        if not isinstance(told, list) or len(told) > MOST:
            return None
        found = Extents()
        for each in told:
            match each:
                case [int(start), int(end)] if 0 <= start < end:
                    found = found.having(start, end)
                case _:
                    return None
        return found
