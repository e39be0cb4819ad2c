"""Where engines have put their layers: the beginning of each pod's log, read once per start, in the background.

    of(key, pods)   the fewest layers on GPUs of the ready pods of the InferenceService `key`
    forget(key)     it is gone

A log that cannot be read is tried a few times, then left alone: nothing is known of that start. It must never read more
than the bounded beginning of a log, and never keep it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from llmkube.desired.engine_log import LONGEST, offloaded
from llmkube.desired.pod_part import CONTAINER
from llmkube.kube.errors import KubeError
from llmkube.kube.kinds import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmkube.kube.client import Client
    from llmkube.kube.kinds import Key
    from llmkube.kube.objects import Pod

log = structlog.get_logger(__name__)

PERIOD = 1.0
TIMEOUT = 10.0
AT_ONCE = 8
TRIES = 5
Start = tuple[str, str]
"""A pod's uid, and when its engine began."""


@dataclass
class _Reading:
    service: Key
    pod: Key
    layers: int | None = None
    tries: int = 0


class OffloadReader:
    """Reads the pods that it is asked about; `notify` hears of a service of which something new is known."""

    def __init__(self, client: Client, *, notify: Callable[[Key], None]) -> None:
        self._client = client
        self._notify = notify
        self._known: dict[Key, dict[Start, _Reading]] = {}
        self._unread: dict[Start, _Reading] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def of(self, key: Key, pods: Iterable[Pod]) -> int | None:
        """Return what is known of these pods, which are all of the service; what is not is read from now on."""
        before = self._known.get(key, {})
        starts = {start: key_of(each) for each in pods if (start := _start(each))}
        self._known[key] = {start: before.get(start) or _Reading(key, pod) for start, pod in starts.items()}
        for start in before.keys() - starts.keys():
            self._unread.pop(start, None)
        self._unread |= {start: each for start, each in self._known[key].items() if start not in before}
        return min((each.layers for each in self._known[key].values() if each.layers is not None), default=None)

    def forget(self, key: Key) -> None:
        """Keep nothing of a service."""
        for start in self._known.pop(key, {}):
            self._unread.pop(start, None)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.read_once()
            await asyncio.sleep(PERIOD)

    async def read_once(self) -> None:
        """Read every log that is to be read, once."""
        async with asyncio.TaskGroup() as group:
            for start, reading in list(self._unread.items()):
                group.create_task(self._read(start, reading), name=f"offload {reading.pod}")

    async def _read(self, start: Start, reading: _Reading) -> None:
        async with self._slots:
            reading.layers = offloaded(await self._beginning(reading.pod))
        reading.tries += 1
        if reading.layers is None and reading.tries < TRIES:
            return
        self._unread.pop(start, None)
        if reading.layers is None:
            log.info("its log does not tell where an engine put its layers", pod=str(reading.pod))
        elif start in self._known.get(reading.service, {}):
            self._notify(reading.service)

    async def _beginning(self, pod: Key) -> str:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._client.logs(pod, container=CONTAINER, limit_bytes=LONGEST)
        except (KubeError, TimeoutError) as error:
            log.debug("the beginning of an engine's log could not be read", pod=str(pod), error=str(error))
            return ""


def _start(pod: Pod) -> Start | None:
    """Only an engine that is ready has told all of its start."""
    engine = next((each for each in pod.status.container_statuses if each.name == CONTAINER and each.ready), None)
    if engine is None or engine.state.running is None or pod.metadata.deletion_timestamp is not None:
        return None
    return pod.metadata.uid, engine.state.running.started_at or ""
