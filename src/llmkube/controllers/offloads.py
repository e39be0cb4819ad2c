"""Where engines have put their layers: the beginning of each pod's log, read once per start, in the background.

    of(key, pods)   the fewest layers on GPUs of the ready pods of the InferenceService `key`
    forget(key)     it is gone

A log that does not tell is tried a few times, then left alone: nothing is known of that start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from llmkube.controllers.pod_logs import PodLogs
from llmkube.desired.engine_log import LONGEST, offloaded
from llmkube.desired.pod_part import CONTAINER
from llmkube.kube.kinds import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmkube.kube.client import Client
    from llmkube.kube.kinds import Key
    from llmkube.kube.objects import Pod

log = structlog.get_logger(__name__)

TRIES = 5
Start = tuple[str, str]
"""A pod's uid, and when its engine began."""


@dataclass(eq=False)
class _Reading:
    service: Key
    pod: Key
    start: Start
    layers: int | None = None
    tries: int = 0


class OffloadReader:
    """Reads the pods that it is asked about; `notify` hears of a service of which something new is known."""

    def __init__(self, client: Client, *, notify: Callable[[Key], None]) -> None:
        self._notify = notify
        self._known: dict[Key, dict[Start, _Reading]] = {}
        self._unread: dict[Start, _Reading] = {}
        self.logs: PodLogs[_Reading] = PodLogs(
            client,
            container=CONTAINER,
            limit_bytes=LONGEST,
            wanted=lambda: ((each, each.pod) for each in self._unread.values()),
            heard=self._heard,
        )

    def of(self, key: Key, pods: Iterable[Pod]) -> int | None:
        """Return what is known of these pods, which are all of the service; what is not is read from now on."""
        before = self._known.get(key, {})
        starts = {start: key_of(each) for each in pods if (start := _start(each))}
        self._known[key] = {start: before.get(start) or _Reading(key, pod, start) for start, pod in starts.items()}
        for start in before.keys() - starts.keys():
            self._unread.pop(start, None)
        self._unread |= {start: each for start, each in self._known[key].items() if start not in before}
        return min((each.layers for each in self._known[key].values() if each.layers is not None), default=None)

    def forget(self, key: Key) -> None:
        """Keep nothing of a service."""
        for start in self._known.pop(key, {}):
            self._unread.pop(start, None)

    def _heard(self, reading: _Reading, text: str) -> None:
        reading.layers = offloaded(text)
        reading.tries += 1
        if reading.layers is None and reading.tries < TRIES:
            return
        self._unread.pop(reading.start, None)
        if reading.layers is None:
            log.info("its log does not tell where an engine put its layers", pod=str(reading.pod))
        elif reading.start in self._known.get(reading.service, {}):
            self._notify(reading.service)


def _start(pod: Pod) -> Start | None:
    """Only an engine that is ready has told all of its start."""
    engine = next((each for each in pod.status.container_statuses if each.name == CONTAINER and each.ready), None)
    if engine is None or engine.state.running is None or pod.metadata.deletion_timestamp is not None:
        return None
    return pod.metadata.uid, engine.state.running.started_at or ""
