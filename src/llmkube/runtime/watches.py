"""From what an informer saw to the keys that a controller reconciles.

    primary(controller, informer)             the objects themselves, when somebody else changed them
    owned(controller, informer, owner_kind)   what they own: the controlling owner of the old and of the new object
    mapped(controller, informer, keys_of)     anything else that they refer to, through an index

Of what changes often and in bursts, such as a Deployment while it rolls out, changes within `settle` seconds are seen
by one pass: a pass looks at everything, so that the ones between would come to nothing. What is gone is told at once.
The echo of a write may come before the answer to it: what most likely is one waits too, and is looked at all the same.

Pure but for the add to the queue: it reads the two objects of an event, and must never ask the cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from llmkube.kube.kinds import Key, Kind
from llmkube.runtime.queue import LOW_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from llmkube.kube.informer import Informer
    from llmkube.kube.objects import Object, ObjectMeta, OwnerReference
    from llmkube.runtime.controller import Controller


T = TypeVar("T", bound="Object")

MADE_SETTLE = 2.0
"""Seconds for an owned object that is new: its owner's reconcile made it, and what others make of it follows sooner."""


def primary(
    controller: Controller,
    informer: Informer[T],
    *,
    is_ours: Callable[[T], bool],
    is_observed: Callable[[T], bool],
    settle: float = 0.0,
) -> None:
    """Wants an object reconciled when its generation, labels, annotations or deletion change.

    A status that somebody else wrote is a change too, once it has settled; `is_ours` tells a version that this
    controller wrote, when the answer has come by then. What is in the initial list and not `is_observed`, or is to go,
    was asked for while nobody led, and comes before the look at all that was as it should be.
    """

    def on_event(old: T | None, new: T | None, *, initial: bool) -> None:
        status_only = old is not None and new is not None and not is_changed(old.metadata, new.metadata)
        if status_only and new is not None and is_ours(new):
            return
        after = settle if status_only else None
        unasked = initial and new is not None and new.metadata.deletion_timestamp is None and is_observed(new)
        enqueue(controller, map(key_of, present(new, old)), priority(old, new, initial=unasked), after=after)

    informer.add_handler(on_event)


def owned(controller: Controller, informer: Informer[T], owner_kind: Kind[Any], *, settle: float = 0.0) -> None:
    """Wants the controlling owner reconciled when what it owns changes, or changes owners."""

    def on_event(old: T | None, new: T | None, *, initial: bool) -> None:
        owners = (owner_key(each.metadata, owner_kind) for each in present(new, old))
        wait = MADE_SETTLE if settle and old is None else settle
        after = None if initial or new is None else wait
        enqueue(controller, filter(None, owners), priority(old, new, initial=initial), after=after)

    informer.add_handler(on_event)


def mapped(
    controller: Controller,
    informer: Informer[T],
    keys_of: Callable[[T], Iterable[Key]],
    *,
    part: Callable[[T], object] | None = None,
    settle: float = 0.0,
) -> None:
    """Wants every key reconciled that `keys_of` finds for the old or the new object, when its `part` (all) changes.

    One whose part is empty is as good as none.
    """

    def on_event(old: T | None, new: T | None, *, initial: bool) -> None:
        if part is not None and ((old and part(old)) or None) == ((new and part(new)) or None):
            return
        keys = [*(keys_of(new) if new is not None else ()), *(keys_of(old) if old is not None else ())]
        if keys:
            after = None if initial or new is None else settle
            enqueue(controller, keys, priority(old, new, initial=initial), after=after)

    informer.add_handler(on_event)


def is_changed(old: ObjectMeta, new: ObjectMeta) -> bool:
    """Whether a person's hand is in it, or a resync (the same version again)."""
    return (
        old.generation != new.generation
        or old.uid != new.uid
        or old.deletion_timestamp != new.deletion_timestamp
        or old.labels != new.labels
        or old.annotations != new.annotations
        or old.resource_version == new.resource_version
    )


def owner_key(metadata: ObjectMeta, owner_kind: Kind[Any]) -> Key | None:
    """The key of the controlling owner, when it is of this kind and group; owners share the namespace."""
    for reference in metadata.owner_references:
        if reference.controller and is_of(reference, owner_kind):
            return Key(metadata.namespace if owner_kind.namespaced else "", reference.name)
    return None


def is_of(reference: OwnerReference, kind: Kind[Any]) -> bool:
    """Whatever the version: an upgrade changes it, the owner stays."""
    group = reference.api_version.rpartition("/")[0]
    return reference.kind == kind.kind and group == kind.group


def key_of(obj: Object) -> Key:
    return Key(obj.metadata.namespace, obj.metadata.name)


def present(*objects: T | None) -> Iterator[T]:
    return (each for each in objects if each is not None)


def priority(old: Object | None, new: Object | None, *, initial: bool) -> int:
    """Low for the initial list and for a resync, which nobody is waiting for."""
    resync = old is not None and new is not None and old.metadata.resource_version == new.metadata.resource_version
    return LOW_PRIORITY if initial or resync else 0


def enqueue(controller: Controller, keys: Iterable[Key], priority: int, *, after: float | None = None) -> None:
    for key in dict.fromkeys(keys):
        controller.enqueue(key, after=after or None, priority=priority)
