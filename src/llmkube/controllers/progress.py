"""How far downloads are: the last log line of each fetch's pod, read once a second in the background.

follow(key, pod)   read that pod for the Model `key` from now on
leave(key)         it is over
tick(key, pod)     what that pod said last
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.controllers.pod_logs import PodLogs
from llmkube.desired.fetch_job import CONTAINER
from llmkube.desired.fetch_result import LONGEST, Tick, tick

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmkube.kube.client import Client
    from llmkube.kube.kinds import Key
    from llmkube.runtime.clock import Clock

TELL_AFTER = 2.0


@dataclass(eq=False)
class _Followed:
    model: Key
    pod: Key
    tick: Tick | None = None
    told: Tick | None = None
    told_at: float = 0.0


class ProgressReader:
    """Reads the pods that it is told to follow; `notify` hears of every percent, and of less every two seconds."""

    def __init__(self, client: Client, *, clock: Clock, notify: Callable[[Key], None]) -> None:
        self._clock = clock
        self._notify = notify
        self._followed: dict[Key, _Followed] = {}
        self.logs: PodLogs[_Followed] = PodLogs(
            client,
            container=CONTAINER,
            limit_bytes=LONGEST,
            tail=1,
            wanted=lambda: ((each, each.pod) for each in self._followed.values()),
            heard=self._heard,
        )

    def follow(self, key: Key, pod: Key) -> None:
        """Read this pod for a Model; another one than before starts anew."""
        known = self._followed.get(key)
        if known is None or known.pod != pod:
            self._followed[key] = _Followed(key, pod)

    def leave(self, key: Key) -> None:
        """Read nothing for a Model any more."""
        self._followed.pop(key, None)

    def tick(self, key: Key, pod: Key) -> Tick | None:
        """Return the last progress that this pod told."""
        known = self._followed.get(key)
        return known.tick if known is not None and known.pod == pod else None

    def _heard(self, followed: _Followed, line: str) -> None:
        found = tick(line)
        if found is None or self._followed.get(followed.model) is not followed:
            return
        followed.tick = found
        if self._is_news(followed, found):
            followed.told, followed.told_at = found, self._clock.monotonic()
            self._notify(followed.model)

    def _is_news(self, followed: _Followed, found: Tick) -> bool:
        if followed.told is None or found.percent != followed.told.percent:
            return True
        waited = self._clock.monotonic() - followed.told_at
        return found != followed.told and waited >= TELL_AFTER
