"""One controller's loop: changes become dirty keys, a dirty key is reconciled once, failures wait longer each time.

Level-triggered: a key says only "look here again". It never spins: without a dirty key or a timer it sleeps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from llmkube.local.objects import Change, Object, Registry, StatusError

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

FIRST_RETRY = 0.1
LAST_RETRY = 30.0


class Reconciler(Protocol[K]):
    """What a controller is: which resources it watches, which keys a change concerns, what to do about a key."""

    @property
    def name(self) -> str: ...
    @property
    def watched(self) -> Collection[str]: ...
    def keys(self, change: Change) -> Iterable[K]: ...
    async def reconcile(self, key: K) -> float | None:
        """Brings the world closer to what the objects say; returns after how many seconds to look again, if ever."""
        ...


@dataclass(frozen=True)
class Existing:
    """An object that was there before anybody watched."""

    resource: str
    object: Object
    type: str = "ADDED"
    old: Object | None = None


class DirtyKeys(Generic[K]):
    """Keys to look at, each at most once; those with a delay join when it is over."""

    def __init__(self) -> None:
        self._keys: dict[K, None] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()

    def add(self, key: K) -> None:
        self._keys[key] = None
        self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """The earlier of two timers of a key wins."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= loop.time() + seconds:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def take(self) -> K:
        while not self._keys:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._keys))
        del self._keys[key]
        return key

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()


class Loop(Generic[K]):
    """Runs one reconciler on the registry's changes."""

    def __init__(self, registry: Registry, reconciler: Reconciler[K]) -> None:
        self._registry = registry
        self._reconciler = reconciler
        self._dirty: DirtyKeys[K] = DirtyKeys()
        self._failures: dict[K, int] = {}

    async def run(self) -> None:
        unsubscribe = self._registry.subscribe(self._on_change)
        try:
            for resource in self._reconciler.watched:
                for obj in self._registry.list(resource):
                    self._on_change(Existing(resource, obj))
            while True:
                await self._step(await self._dirty.take())
        finally:
            unsubscribe()
            self._dirty.close()

    def _on_change(self, change: Change) -> None:
        if change.resource in self._reconciler.watched:
            for key in self._reconciler.keys(change):
                self._dirty.add(key)

    async def _step(self, key: K) -> None:
        """One look. A bug in one controller must not end the others: whatever it raises is logged and retried."""
        try:
            again = await self._reconciler.reconcile(key)
        except StatusError as error:
            if error.code != 409:
                log.warning("%s %s: %s; trying again", self._reconciler.name, key, error)
            self._retry(key)
        except Exception:
            log.exception("%s %s: reconcile failed; trying again", self._reconciler.name, key)
            self._retry(key)
        else:
            self._failures.pop(key, None)
            if again is not None:
                self._dirty.add_after(key, max(again, 0.01))
        await asyncio.sleep(0)

    def _retry(self, key: K) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._dirty.add_after(key, min(LAST_RETRY, FIRST_RETRY * 2 ** min(failures - 1, 16)))
