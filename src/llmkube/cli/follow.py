"""Waits until Models and InferenceServices are ready, by watching; the Models that services name are shown with them.

Ends in exactly one of three ways: all ready, one failed (its own words), or out of time (what was missing last).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from llmkube.cli.errors import CommandError, TimedOutError
from llmkube.cli.view import View, said, view_of
from llmkube.kube.errors import NotFound
from llmkube.kube.kinds import INFERENCE_SERVICE, MODEL, Key, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmkube.cli.progress import Display
    from llmkube.kube.client import Client
    from llmkube.kube.objects import CustomResource

KINDS: dict[str, Kind[CustomResource]] = {kind.kind: kind for kind in (MODEL, INFERENCE_SERVICE)}
STALE_FAILURE = 5.0


class Followed(NamedTuple):
    """The object that is waited for."""

    kind: str
    key: Key


class Outlook:
    """What is known of the objects that are followed, and whether the wait is over. Plain calls, no I/O.

    A failure that was there before the first look may be about a model that was mended a moment ago: such a one counts
    only once `stale_counts` is set.
    """

    def __init__(self, wanted: Iterable[Followed], display: Display) -> None:
        self.views: dict[Followed, View] = {}
        self.stale_counts = False
        self.lost = ""
        self._wanted = tuple(wanted)
        self._display = display
        self._at_first: dict[Followed, View] = {}

    def see(self, view: View) -> None:
        """Take what was seen, and show it."""
        followed = Followed(view.kind, Key(view.namespace, view.name))
        if followed not in self._wanted and followed not in self._named():
            return
        old = self.views.get(followed)
        self._at_first.setdefault(followed, view)
        self.views[followed] = view
        self._display.show(old, view)

    @property
    def failed(self) -> View | None:
        """The first object that cannot get ready any more."""
        return next((view for followed, view in self.views.items() if self._has_failed(followed, view)), None)

    @property
    def is_ready(self) -> bool:
        """Whether nothing is left to wait for."""
        return all(followed in self.views and self.views[followed].state == "ready" for followed in self._wanted)

    @property
    def missing(self) -> str:
        """What is not ready, and the last that it said."""
        left = [(each, self.views.get(each)) for each in self._wanted]
        lines = [
            f"{each.kind.lower()}/{each.key.name} is not ready: {view.last_condition if view else 'not there'}"
            for each, view in left
            if view is None or view.state != "ready"
        ]
        return "\n".join([*lines, *([self.lost] if self.lost else [])])

    def _named(self) -> set[Followed]:
        """The Models that the wanted services are made from."""
        services = (self.views.get(each) for each in self._wanted if each.kind == INFERENCE_SERVICE.kind)
        return {Followed(MODEL.kind, Key(each.namespace, each.spec.model_ref)) for each in services if each}

    def _has_failed(self, followed: Followed, view: View) -> bool:
        stale = view == self._at_first.get(followed)
        return view.state == "failed" and (self.stale_counts or not stale)


class _Sink:
    """Hands what a watcher sees of one kind in one namespace to the outlook, and wakes the one who waits."""

    def __init__(self, outlook: Outlook, woken: asyncio.Event, *, kind: str, namespace: str) -> None:
        self._outlook = outlook
        self._woken = woken
        self._kind = kind
        self._namespace = namespace

    async def replaced(self, listed: Sequence[CustomResource], version: str) -> None:
        there = {each.metadata.name for each in listed}
        for followed, view in list(self._outlook.views.items()):
            ours = (followed.kind, followed.key.namespace) == (self._kind, self._namespace)
            if ours and followed.key.name not in there:
                self._outlook.see(msgspec.structs.replace(view, deleted=True))
        for each in listed:
            self._outlook.see(view_of(each, kind=self._kind))
        self._woken.set()

    def changed(self, obj: CustomResource) -> None:
        self._outlook.see(view_of(obj, kind=self._kind))
        self._woken.set()

    def deleted(self, obj: CustomResource) -> None:
        self._outlook.see(view_of(obj, kind=self._kind, deleted=True))
        self._woken.set()

    def progressed(self, version: str) -> None:
        """A bookmark tells a person nothing."""


async def until_ready(client: Client, wanted: Sequence[Followed], *, timeout: float, display: Display) -> list[View]:
    """Return what is ready once all are; raise CommandError with the reason of a failure, or TimedOutError."""
    outlook, woken = Outlook(wanted, display), asyncio.Event()
    with display:
        try:
            async with asyncio.timeout(timeout):
                await _look(client, wanted, outlook)
                await _watch(client, wanted, outlook, woken)
        except TimeoutError:
            raise TimedOutError(f"timed out after {timeout:g}s: {outlook.missing}") from None
    if outlook.failed is not None:
        raise CommandError(f"{outlook.failed.reference} {said(outlook.failed)}")
    return [outlook.views[each] for each in wanted]


async def _look(client: Client, wanted: Sequence[Followed], outlook: Outlook) -> None:
    """See everything once: what is not there is an error now, not a time-out later."""
    for followed in wanted:
        view = view_of(await client.get(KINDS[followed.kind], followed.key), kind=followed.kind)
        outlook.see(view)
        if view.spec.model_ref:
            try:
                model = await client.get(MODEL, Key(view.namespace, view.spec.model_ref))
                outlook.see(view_of(model, kind=MODEL.kind))
            except NotFound:
                continue


async def _watch(client: Client, wanted: Sequence[Followed], outlook: Outlook, woken: asyncio.Event) -> None:
    from llmkube.kube.watch import Watcher

    def watcher(kind: Kind[CustomResource], namespace: str) -> Watcher[CustomResource]:
        sink = _Sink(outlook, woken, kind=kind.kind, namespace=namespace)
        return Watcher(client, kind, sink, namespace=namespace)

    namespaces = {followed.key.namespace for followed in wanted}
    watchers = [watcher(kind, namespace) for kind in KINDS.values() for namespace in namespaces]
    timer = asyncio.get_running_loop().call_later(STALE_FAILURE, _count_stale, outlook, woken)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each.run()) for each in watchers]
            while not outlook.is_ready and outlook.failed is None:
                woken.clear()
                await woken.wait()
            for task in tasks:
                task.cancel()
    finally:
        timer.cancel()
        outlook.lost = next((each.last_error for each in watchers if each.last_error), "")


def _count_stale(outlook: Outlook, woken: asyncio.Event) -> None:
    outlook.stale_counts = True
    woken.set()
