"""How far a fetch is, over all its files, and how fast it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

RATE_SECONDS = 5.0
MOST_MARKS = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes here, bytes in all (None: the source does not say), and the rate of the last seconds in bytes/s.

    `file` of `files` is the first that is not complete yet; `waiting`: another fetch brings these bytes.
    """

    bytes: int
    total: int | None
    rate: float
    waiting: bool = False
    file: int = 1
    files: int = 1

    @property
    def eta(self) -> float | None:
        """Seconds until the end at this rate; None when nobody can say."""
        if self.total is None:
            return None
        left = max(self.total - self.bytes, 0)
        return 0.0 if not left else left / self.rate if self.rate > 0 else None


Report = Callable[[Progress], None]


class Meter:
    """Is told of each file by its number, from 0; what was said never goes back, also when a file begins again."""

    def __init__(self, files: int, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._report, self._clock = report, clock
        self._bytes = [0] * files
        self._sizes: list[int | None] = [None] * files
        self._done: set[int] = set()
        self._told = 0
        self._marks: list[tuple[float, int]] = []

    def size(self, file: int, size: int | None) -> None:
        """The size of a file became known, in bytes."""
        self._sizes[file] = size

    def moved(self, file: int, length: int) -> None:
        """So many bytes of a file are here."""
        self._bytes[file] = length
        self._tell(waiting=False)

    def done(self, file: int, size: int) -> None:
        """A file is complete and verified."""
        self._bytes[file] = self._sizes[file] = size
        self._done.add(file)
        self._tell(waiting=False)

    def waiting(self) -> None:
        """Another fetch has the lock."""
        self._tell(waiting=True)

    def _tell(self, *, waiting: bool) -> None:
        now, count = self._clock(), sum(self._bytes)
        recent = [(at, seen) for at, seen in self._marks if now - at < RATE_SECONDS][-MOST_MARKS:]
        self._marks = [*recent, (now, count)]
        (since, first) = self._marks[0]
        rate = (count - first) / (now - since) if now > since else 0.0
        self._told = max(self._told, count)
        files = len(self._bytes)
        file = min(next((n for n in range(files) if n not in self._done), files - 1), files - 1) + 1
        self._report(Progress(self._told, self._total(), max(rate, 0.0), waiting, file, files))

    def _total(self) -> int | None:
        known = [size for size in self._sizes if size is not None]
        return sum(known) if len(known) == len(self._sizes) else None
