"""Runs what an operator is made of, in the one order that is safe, and ends it in the reverse.

    start   health server -> informers -> synced -> (standby: queues fill, nobody works) -> lease -> background, workers
    stop    take no key -> drain workers -> background -> informers -> health server -> release the lease

A manager runs once. It must never work without the lease: when it is lost everything ends at once, nothing is drained.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, Protocol

import structlog

from llmkube.runtime.controller import Controller
from llmkube.runtime.health import Check, application, serving
from llmkube.runtime.metrics import Metrics
from llmkube.runtime.tasks import Job, either, running

log = structlog.get_logger(__name__)

SYNC_TIMEOUT = 120.0
DRAIN_TIMEOUT = 30.0


class SyncTimeoutError(Exception):
    """A kind could not be listed in time; the message is one line."""


class LeaseLostError(Exception):
    """Another process may lead now."""


class Cache(Protocol):
    """An informer, to whoever runs it."""

    @property
    def name(self) -> str: ...
    @property
    def synced(self) -> asyncio.Event: ...
    @property
    def last_error(self) -> str: ...
    async def run(self) -> None: ...


class Elector(Protocol):
    """Leadership: `run` calls back when it has it, holds it until the call returns, then gives it up.

    It raises LeaseLostError when it could not hold it.
    """

    @property
    def name(self) -> str: ...
    async def run(self, on_started: Callable[[], Awaitable[None]]) -> None: ...
    def check(self) -> str:
        """What is wrong (leading with a lease that is out of date); empty when nothing is."""


class Watcher(Protocol):
    """Ends the process when its loop stalls."""

    def watching(self) -> AbstractContextManager[None]: ...


class Manager:
    """`health_port` None serves nothing; without an elector this process always leads."""

    def __init__(
        self,
        *,
        informers: Sequence[Cache],
        controllers: Sequence[Controller],
        background: Sequence[Job] = (),
        health_port: int | None = None,
        health_host: str | None = None,
        elector: Elector | None = None,
        watchdog: Watcher | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self._informers = informers
        self._controllers = controllers
        self._background = background
        self._health = None if health_port is None else (health_host, health_port)
        self._elector = elector
        self._watchdog = watchdog
        self._leading = asyncio.Event()
        self._stop = asyncio.Event()
        self._finished = asyncio.Event()
        self.health_port = asyncio.get_event_loop
