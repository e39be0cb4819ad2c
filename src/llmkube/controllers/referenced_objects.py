"""Reads Secrets and ConfigMaps by the names that specs give, in the background: there is no right to list or watch any.

    look(owner, references) -> Mapping[Reference, Found | None]    what is known; None while nobody has looked yet
    forget(owner)                                                  the owner is gone, or refers to nothing any more

An object that anybody refers to is read once for all who do, again every `every` seconds (with jitter, and later where
there are so many that it were more than MOST_PER_SECOND), and sooner while it is missing or cannot be read. `notify`
hears for each owner of what has changed. What is kept of an object is what desired/referenced.py tells: never its
content. With nobody who refers to anything, nothing is asked.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmkube.desired.referenced import ABSENT, Found, Reference, found
from llmkube.kube.errors import Forbidden, KubeError, NotFound
from llmkube.kube.kinds import CONFIG_MAP, SECRET, Key
from llmkube.runtime.queue import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from llmkube.kube.client import Client
    from llmkube.runtime.clock import Clock, Timer

EVERY = 60.0
FIRST = 1.0
AT_ONCE = 8
MOST_PER_SECOND = 20.0
TIMEOUT = 10.0
JITTER = 0.2
_KINDS = {"Secret": SECRET, "ConfigMap": CONFIG_MAP}


@dataclass(eq=False)
class _Watched:
    """One object, and who refers to it."""

    namespace: str
    reference: Reference
    owners: set[Key] = field(default_factory=set)
    answer: Found | None = None
    failures: int = 0
    timer: Timer | None = None


class ReferencedObjects:
    """At most `at_once` reads at a time, each of at most `timeout` seconds."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        notify: Callable[[Key], None],
        every: float = EVERY,
        timeout: float = TIMEOUT,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._clock = clock
        self._notify = notify
        self._every = every
        self._timeout = timeout
        self._chance = chance
        self._backoff = Backoff(first=min(FIRST, every), limit=every)
        self._watched: dict[tuple[str, Reference], _Watched] = {}
        self._wanted: dict[Key, frozenset[Reference]] = {}
        self._queue: asyncio.Queue[_Watched] = asyncio.Queue()

    def look(self, owner: Key, references: Iterable[Reference]) -> Mapping[Reference, Found | None]:
        """Want these kept up to date for the owner, and no others; return what is known of them."""
        wanted = frozenset(references)
        for gone in self._wanted.get(owner, frozenset()) - wanted:
            self._leave(owner, gone)
        if wanted:
            self._wanted[owner] = wanted
        else:
            self._wanted.pop(owner, None)
        return {each: self._joined(owner, each).answer for each in wanted}

    def forget(self, owner: Key) -> None:
        """Ask nothing for the owner any more."""
        self.look(owner, ())

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(self._work(), name=f"referenced objects {number}")

    def _joined(self, owner: Key, reference: Reference) -> _Watched:
        place = (owner.namespace, reference)
        watched = self._watched.get(place)
        if watched is None:
            watched = self._watched[place] = _Watched(owner.namespace, reference)
            self._queue.put_nowait(watched)
        watched.owners.add(owner)
        return watched

    def _leave(self, owner: Key, reference: Reference) -> None:
        watched = self._watched[owner.namespace, reference]
        watched.owners.discard(owner)
        if watched.owners:
            return
        del self._watched[owner.namespace, reference]
        if watched.timer is not None:
            watched.timer.cancel()

    async def _work(self) -> None:
        while True:
            watched = await self._queue.get()
            if self._is_current(watched):
                await self._read(watched)

    async def _read(self, watched: _Watched) -> None:
        answer = await self._answer(watched)
        if not self._is_current(watched):
            return
        watched.failures = watched.failures + 1 if answer is None or answer.problem else 0
        watched.timer = self._clock.call_later(self._pause(watched), lambda: self._queue.put_nowait(watched))
        if answer is None:
            answer = watched.answer or Found(problem="no answer from the API server")
        if answer != watched.answer:
            watched.answer = answer
            for owner in sorted(watched.owners):
                self._notify(owner)

    async def _answer(self, watched: _Watched) -> Found | None:
        """What is there; None where the API server did not say: what was known before still counts."""
        reference = watched.reference
        try:
            async with asyncio.timeout(self._timeout):
                data = await self._client.get(_KINDS[reference.kind], Key(watched.namespace, reference.name))
        except NotFound:
            return Found(problem=ABSENT)
        except Forbidden as error:
            return Found(problem=f"a refusal: {error}")
        except (KubeError, TimeoutError):
            return None
        return found(data, reference.kind)

    def _pause(self, watched: _Watched) -> float:
        even = 1.0 - JITTER + 2 * JITTER * self._chance()
        pause = self._backoff.delay(watched.failures - 1) if watched.failures else self._every
        return even * max(pause, len(self._watched) / MOST_PER_SECOND)

    def _is_current(self, watched: _Watched) -> bool:
        return self._watched.get((watched.namespace, watched.reference)) is watched
