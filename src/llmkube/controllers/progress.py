"""How far downloads are: the last log line of each fetch's pod, read once a second in the background.

    follow(key, pod)   read that pod for the Model `key` from now on
    leave(key)         it is over
    tick(key, pod)     what that pod said last

A log that cannot be read tells nothing and fails nothing. It must never read more than one line of a log.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from llmkube.desired.fetch_job import CONTAINER
from llmkube.desired.fetch_result import LONGEST, Tick, tick
from llmkube.kube.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmkube.kube.client import Client
    from llmkube.kube.kinds import Key
    from llmkube.runtime.clock import Clock

log = structlog.get_logger(__name__)

PERIOD = 1.0
TIMEOUT = 5.0
AT_ONCE = 8
TELL_AFTER = 2.0


@dataclass
class _Followed:
    pod: Key
    tick: Tick | None = None
    told: Tick | None = None
    told_at: float = 0.0


class ProgressReader:
    """Reads the pods that it is told to follow; `notify` hears of every percent, and of less every two seconds."""

    def __init__(self, client: Client, *, clock: Clock, notify: Callable[[Key], None]) -> None:
        self._client = client
        self._clock = clock
        self._notify = notify
        self._followed: dict[Key, _Followed] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def follow(self, key: Key, pod: Key) -> None:
        """Read this pod for a Model; another one than before starts anew."""
        known = self._followed.get(key)
        if known is None or known.pod != pod:
            self._followed[key] = _Followed(pod)

    def leave(self, key: Key) -> None:
        """Read nothing for a Model any more."""
        self._followed.pop(key, None)

    def tick(self, key: Key, pod: Key) -> Tick | None:
        """Return the last progress that this pod told."""
        known = self._followed.get(key)
        return known.tick if known is not None and known.pod == pod else None

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.read_once()
            await asyncio.sleep(PERIOD)

    async def read_once(self) -> None:
        """Read every pod that is followed, once."""
        async with asyncio.TaskGroup() as group:
            for key, followed in list(self._followed.items()):
                group.create_task(self._read(key, followed), name=f"progress {key}")

    async def _read(self, key: Key, followed: _Followed) -> None:
        async with self._slots:
            found = tick(await self._last_line(followed.pod))
        if found is None or self._followed.get(key) is not followed:
            return
        followed.tick = found
        if self._is_news(followed, found):
            followed.told, followed.told_at = found, self._clock.monotonic()
            self._notify(key)

    async def _last_line(self, pod: Key) -> str:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._client.logs(pod, container=CONTAINER, tail=1, limit_bytes=LONGEST)
        except (KubeError, TimeoutError) as error:
            log.debug("no progress could be read", pod=str(pod), error=str(error))
            return ""

    def _is_news(self, followed: _Followed, found: Tick) -> bool:
        if followed.told is None or found.percent != followed.told.percent:
            return True
        waited = self._clock.monotonic() - followed.told_at
        return found != followed.told and waited >= TELL_AFTER
