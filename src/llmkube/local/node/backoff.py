"""How long a failed container waits before it runs again. Pure: a value in, a value out."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Backoff:
    """The kubelet's: at once, then `first` doubling to `limit` seconds; forgotten after a run of `reset` seconds."""

    first: float = 10.0
    limit: float = 300.0
    reset: float = 600.0
    failures: int = 0

    def after_run(self, seconds: float) -> Backoff:
        """The back-off after one more run that took so long."""
        return replace(self, failures=1 if seconds >= self.reset else self.failures + 1)

    @property
    def delay(self) -> float:
        if self.failures < 2:
            return 0.0
        return float(min(self.limit, self.first * 2 ** min(self.failures - 2, 32)))
