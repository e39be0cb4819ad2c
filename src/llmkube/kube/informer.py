"""One kind kept in memory, shared by everybody who reads it: watcher -> store -> handlers, with no await in between.

A handler hears of every change once, in the order of the API server, after the store has it. Handlers only note keys.
A list of thousands is taken in by steps, each as whole as a single event; others run in between, and see the past of
what is not yet taken in.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from llmkube.kube import objects
from llmkube.kube.store import Deltas, Index, Store, as_number
from llmkube.kube.watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmkube.kube.client import Client
    from llmkube.kube.kinds import Kind

T = TypeVar("T", bound=objects.Object)
T_contra = TypeVar("T_contra", contravariant=True)

RESYNC = 10 * 3600.0


class Handler(Protocol[T_contra]):
    """Hears of an addition (no old), a change, or a deletion (no new); `initial` while the first list is taken in."""

    def __call__(self, old: T_contra | None, new: T_contra | None, *, initial: bool) -> None: ...


class Statistics(NamedTuple):
    """What an informer has seen."""

    objects: int
    events: int
    relists: int
    version: int


class Informer(Generic[T]):
    """The objects of a kind in some namespaces (none named: all), with a label selector or none.

    An optional kind may be one that the API server does not serve: there is nothing of it while it `is_absent`.
    """

    def __init__(
        self,
        client: Client,
        kind: Kind[T],
        *,
        namespaces: Sequence[str] = (),
        label_selector: str = "",
        indexes: Mapping[str, Index[T]] | None = None,
        resync: float = RESYNC,
        optional: bool = False,
    ) -> None:
        self.kind = kind
        self.store: Store[T] = Store(indexes)
        self.synced = asyncio.Event()
        self._handlers: list[Handler[T]] = []
        self._resync = resync
        self._parts = [
            _Part(self, client, namespace=each, label_selector=label_selector, optional=optional)
            for each in namespaces or (None,)
        ]

    @property
    def name(self) -> str:
        """`deployments.apps`."""
        return self.kind.resource

    @property
    def last_error(self) -> str:
        """What keeps it from following; empty when nothing does."""
        return next((part.watcher.last_error for part in self._parts if part.watcher.last_error), "")

    @property
    def is_absent(self) -> bool:
        """Whether the API server does not serve the kind, as far as is known."""
        return any(part.watcher.is_absent for part in self._parts)

    @property
    def version(self) -> int:
        """The resourceVersion up to which everything is known, in every namespace."""
        return min(part.version for part in self._parts)

    def version_in(self, namespace: str) -> int:
        """The same for one namespace: where nothing happens, a watch hears of its progress only once a minute."""
        return next((part.version for part in self._parts if part.namespace == namespace), self.version)

    def add_handler(self, handler: Handler[T]) -> None:
        """Tell a handler of everything from now on, and of what is there already as initial."""
        self._handlers.append(handler)
        for obj in self.store.list():
            handler(None, obj, initial=True)

    async def run(self) -> None:
        """Follow the API server until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in self._parts:
                group.create_task(part.watcher.run(), name=f"watch {self.name}")
            group.create_task(self._resync_for_ever(), name=f"resync {self.name}")

    def statistics(self) -> Statistics:
        return Statistics(
            len(self.store), sum(p.events for p in self._parts), sum(p.lists for p in self._parts), self.version
        )

    def tell(self, deltas: Deltas[T]) -> None:
        """Tell the handlers; the initial list is over when they have heard all of it."""
        initial = not self.synced.is_set()
        for delta in deltas:
            for handler in self._handlers:
                handler(delta.old, delta.new, initial=initial)

    def part_synced(self) -> None:
        if all(part.lists for part in self._parts):
            self.synced.set()

    async def _resync_for_ever(self) -> None:
        """Everything once more, from memory: a reconcile that was forgotten by a bug happens after all."""
        while True:
            await asyncio.sleep(self._resync * random.uniform(1.0, 1.1))  # noqa: S311 - jitter
            for obj in self.store.list():
                for handler in self._handlers:
                    handler(obj, obj, initial=False)
                await asyncio.sleep(0)


class _Part(Generic[T]):
    """One watched collection of the informer: the sink of its watcher."""

    def __init__(
        self, informer: Informer[T], client: Client, *, namespace: str | None, label_selector: str, optional: bool
    ) -> None:
        self._informer = informer
        self.namespace = namespace
        self.watcher = Watcher(
            client, informer.kind, self, namespace=namespace, label_selector=label_selector, optional=optional
        )
        self.version = 0
        self.events = 0
        self.lists = 0

    async def replaced(self, listed: Sequence[T], version: str) -> None:
        for number, step in enumerate(self._informer.store.replacing(listed, namespace=self.namespace)):
            if number:
                await asyncio.sleep(0)
            self._informer.tell(step())
        self.progressed(version)
        self.lists += 1
        self._informer.part_synced()

    def changed(self, obj: T) -> None:
        self._note(obj)
        self._informer.tell(self._informer.store.apply(obj))

    def deleted(self, obj: T) -> None:
        self._note(obj)
        self._informer.tell(self._informer.store.remove(obj))

    def progressed(self, version: str) -> None:
        self.version = as_number(version) or self.version

    def _note(self, obj: T) -> None:
        self.events += 1
        self.progressed(obj.metadata.resource_version)
