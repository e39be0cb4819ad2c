"""What is known of one kind: objects by key, and sets of keys by index. Plain `def`, no I/O, no clock.

One writer, the informer; readers get immutable objects and can't corrupt anything. A reader that asks for an index
that was not declared gets an error, never a scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Generic, TypeVar

from llmkube.kube import objects
from llmkube.kube.kinds import Key, key_of

T = TypeVar("T", bound=objects.Object)

Index = Callable[[T], Iterable[str]]

STEP = 100


@dataclass(frozen=True)
class Delta(Generic[T]):
    """What changed of one key: added (no old), deleted (no new) or replaced."""

    old: T | None
    new: T | None


Objects = list[T]
Deltas = list[Delta[T]]


def by_namespace(obj: objects.Object) -> Iterable[str]:
    return (obj.metadata.namespace,)


def by_owner(obj: objects.Object) -> Iterable[str]:
    """The uid of the controlling owner."""
    return tuple(each.uid for each in obj.metadata.owner_references if each.controller)


class Store(Generic[T]):
    """Objects of one kind, with the indexes `namespace`, `owner` and those that are declared."""

    def __init__(self, indexes: Mapping[str, Index[T]] | None = None) -> None:
        self._objects: dict[Key, T] = {}
        self._by: dict[str, Index[T]] = {"namespace": by_namespace, "owner": by_owner, **(indexes or {})}
        self._indexed: dict[str, dict[str, set[Key]]] = {name: {} for name in self._by}

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> T | None:
        return self._objects.get(key)

    def list(self, namespace: str | None = None) -> Objects[T]:
        """Everything, or everything of one namespace, by key."""
        keys = self._objects if namespace is None else self._indexed["namespace"].get(namespace, ())
        return [self._objects[key] for key in sorted(keys)]

    def by_index(self, index: str, value: str) -> Objects[T]:
        """The objects that have `value` in an index, by key; KeyError when there is no such index."""
        return [self._objects[key] for key in sorted(self._indexed[index].get(value, ()))]

    def apply(self, obj: T) -> Deltas[T]:
        """Store an object, unless this or a later version is there: versions grow also from one uid to the next."""
        old = self._objects.get(key_of(obj))
        if old is not None and 0 < version(obj) <= version(old):
            return []
        return self._set(obj)

    def remove(self, obj: T) -> Deltas[T]:
        """Forget an object that was deleted, unless one that came after it is there."""
        old = self._objects.get(key_of(obj))
        if old is not None and 0 < version(obj) < version(old):
            return []
        return self.delete(key_of(obj))

    def delete(self, key: Key) -> Deltas[T]:
        """Forget a key."""
        old = self._objects.pop(key, None)
        if old is None:
            return []
        self._unindex(key, old)
        return [Delta(old, None)]

    def replacing(self, listed: Iterable[T], *, namespace: str | None = None) -> Iterator[Callable[[], Deltas[T]]]:
        """Make the store, or one namespace of it, what a list said; what the list repeats is no change.

        Returned are steps of 100 objects each, to be called in turn; others may read and write others in between.
        """
        wanted = {key_of(obj): obj for obj in listed}
        known = self._objects.keys() if namespace is None else self._indexed["namespace"].get(namespace, set())
        gone, there = known - wanted.keys(), wanted.values()
        changes = chain((self.delete(key) for key in gone), (self._set(obj) for obj in there))
        for _ in range(0, len(gone) + len(there), STEP):
            yield partial(_some, changes)

    def _set(self, obj: T) -> Deltas[T]:
        """A new uid under an old key is a deletion and an addition, never an update."""
        key = key_of(obj)
        old = self._objects.get(key)
        if old is not None and old.metadata.uid != obj.metadata.uid:
            return [*self.delete(key), *self._set(obj)]
        if old is not None:
            self._unindex(key, old)
        self._put(key, obj)
        return [Delta(old, obj)]

    def _put(self, key: Key, obj: T) -> None:
        self._objects[key] = obj
        for name, index in self._by.items():
            for value in index(obj):
                self._indexed[name].setdefault(value, set()).add(key)

    def _unindex(self, key: Key, obj: T) -> None:
        for name, index in self._by.items():
            for value in index(obj):
                keys = self._indexed[name].get(value, set())
                keys.discard(key)
                if not keys:
                    self._indexed[name].pop(value, None)


def version(obj: objects.Object) -> int:
    """The resourceVersion as the integer that it is (KEP-5504); 0 when there is none."""
    text = obj.metadata.resource_version
    return int(text) if text.isdecimal() else 0


def _some(changes: Iterator[Deltas[T]]) -> Deltas[T]:
    return [delta for deltas in islice(changes, STEP) for delta in deltas if not _is_same(delta)]


def _is_same(delta: Delta[T]) -> bool:
    if delta.old is None or delta.new is None:
        return False
    return delta.old.metadata.resource_version == delta.new.metadata.resource_version
