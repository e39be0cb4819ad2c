"""Reads a piece of each log that somebody wants, once a second in the background.

    PodLogs(client, container=, limit_bytes=, tail=None, wanted=, heard=)
    run()         read until cancelled
    read_once()   read every log that is wanted, once

`wanted` says at each turn whose pods are read; `heard` is told what was in the log of each, and nothing of one that
cannot be read: "" then, which fails nothing. It must never read more than the piece, and never keep it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from llmkube.kube.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmkube.kube.client import Client
    from llmkube.kube.kinds import Key

For = TypeVar("For")
log = structlog.get_logger(__name__)

PERIOD = 1.0
TIMEOUT = 5.0
AT_ONCE = 8


class PodLogs(Generic[For]):
    """At most `limit_bytes` of one container's log: its beginning, or with `tail` so many of its last lines."""

    def __init__(
        self,
        client: Client,
        *,
        container: str,
        limit_bytes: int,
        tail: int | None = None,
        wanted: Callable[[], Iterable[tuple[For, Key]]],
        heard: Callable[[For, str], None],
    ) -> None:
        self._client = client
        self._container = container
        self._limit = limit_bytes
        self._tail = tail
        self._wanted = wanted
        self._heard = heard
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.read_once()
            await asyncio.sleep(PERIOD)

    async def read_once(self) -> None:
        """Read every log that is wanted, so many at a time."""
        async with asyncio.TaskGroup() as group:
            for whose, pod in tuple(self._wanted()):
                group.create_task(self._read(whose, pod), name=f"log of {pod}")

    async def _read(self, whose: For, pod: Key) -> None:
        async with self._slots:
            text = await self._piece(pod)
        self._heard(whose, text)

    async def _piece(self, pod: Key) -> str:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._client.logs(pod, container=self._container, tail=self._tail, limit_bytes=self._limit)
        except (KubeError, TimeoutError) as error:
            log.debug("a log could not be read", pod=str(pod), container=self._container, error=str(error))
            return ""
