"""How long to wait before asking an API server again that did not answer well. Pure: time and chance are passed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST, FACTOR, LONGEST, HEALTHY = 0.8, 2.0, 30.0, 120.0


@dataclass
class Backoff:
    """Exponential with full jitter, as client-go's reflector: 0.8 s, twice as long each time, at most 30 s.

    `chance()` is uniform in [0, 1); `now()` is monotonic seconds. Two minutes without a failure begin anew.
    """

    chance: Callable[[], float]
    now: Callable[[], float]
    _failures: int = field(default=0, init=False)
    _last: float = field(default=float("-inf"), init=False)

    def next(self) -> float:
        """Return the seconds to wait after one more failure."""
        now = self.now()
        if now - self._last > HEALTHY:
            self._failures = 0
        self._last = now
        ceiling: float = min(LONGEST, FIRST * FACTOR ** min(self._failures, 16))
        self._failures += 1
        return ceiling * self.chance()
