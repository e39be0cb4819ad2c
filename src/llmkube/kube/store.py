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
Values = tuple[tuple[str, ...], ...]
"""What an object is found by: the values of each index, in their order."""

STEP = 100
DIGITS = 20


@dataclass(frozen=True)
class Delta(Generic[T]):
    """What changed of one key: added (no old), deleted (no new) or replaced."""

    old: T | None
    new: T | None


Objects = list[T]
Deltas = list[Delta[T]]
Keys = list[Key]


def by_namespace(obj: objects.Object) -> Iterable[str]:
    return (obj.metadata.namespace,)


def by_owner(obj: objects.Object) -> Iterable[str]:
    """The uid of the controlling owner."""
    return [each.uid for each in obj.metadata.owner_references if each.controller]


class Store(Generic[T]):
    """Objects of one kind, with the indexes `namespace`, `owner` and those that are declared."""

    def __init__(self, indexes: Mapping[str, Index[T]] | None = None) -> None:
        by: dict[str, Index[T]] = {"namespace": by_namespace, "owner": by_owner, **(indexes or {})}
        self._objects: dict[Key, T] = {}
        self._indexes = tuple(by.values())
        self._indexed: dict[str, dict[str, set[Key]]] = {name: {} for name in by}
        self._values: dict[Key, Values] = {}
        self._nothing: Values = ((),) * len(by)

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
        return [self._objects[key] for key in self.keys(index, value)]

    def keys(self, index: str, value: str) -> Keys:
        """Return the keys of those objects, in order."""
        found = self._indexed[index].get(value)
        return sorted(found) if found else []

    def apply(self, obj: T) -> Deltas[T]:
        """Store an object, unless this or a later version is there: versions grow also from one uid to the next."""
        key = key_of(obj)
        old = self._objects.get(key)
        if old is not None and 0 < version(obj) <= version(old):
            return []
        return self._set(key, obj)

    def remove(self, obj: T) -> Deltas[T]:
        """Forget an object that was deleted, unless one that came after it is there."""
        key = key_of(obj)
        old = self._objects.get(key)
        if old is not None and 0 < version(obj) < version(old):
            return []
        return self.delete(key)

    def delete(self, key: Key) -> Deltas[T]:
        """Forget a key."""
        old = self._objects.pop(key, None)
        if old is None:
            return []
        self._reindex(key, self._values.pop(key), self._nothing)
        return [Delta(old, None)]

    def replacing(self, listed: Iterable[T], *, namespace: str | None = None) -> Iterator[Callable[[], Deltas[T]]]:
        """Make the store, or one namespace of it, what a list said; what the list repeats is no change.

        Returned are steps of 100 objects each, to be called in turn; others may read and write others in between.
        """
        wanted = {key_of(obj): obj for obj in listed}
        known = self._objects.keys() if namespace is None else self._indexed["namespace"].get(namespace, set())
        gone = known - wanted.keys()
        changes = chain((self.delete(key) for key in gone), (self._set(key, obj) for key, obj in wanted.items()))
        for _ in range(0, len(gone) + len(wanted), STEP):
            yield partial(_some, changes)

    def _set(self, key: Key, obj: T) -> Deltas[T]:
        """A new uid under an old key is a deletion and an addition, never an update."""
        old = self._objects.get(key)
        if old is not None and old.metadata.uid != obj.metadata.uid:
            return [*self.delete(key), *self._set(key, obj)]
        self._objects[key] = obj
        self._index(key, obj)
        return [Delta(old, obj)]

    def _index(self, key: Key, obj: T) -> None:
        """Most changes of an object are none of what it is found by: the values are kept, to see that."""
        old = self._values.get(key, self._nothing)
        new = tuple([tuple(index(obj)) for index in self._indexes])
        if new != old:
            self._values[key] = new
            self._reindex(key, old, new)

    def _reindex(self, key: Key, old: Values, new: Values) -> None:
        for found, before, after in zip(self._indexed.values(), old, new, strict=True):
            for value in set(before).difference(after):
                found[value].discard(key)
                if not found[value]:
                    del found[value]
            for value in set(after).difference(before):
                found.setdefault(value, set()).add(key)


def version(obj: objects.Object) -> int:
    """Return the resourceVersion; 0 when it has none."""
    return as_number(obj.metadata.resource_version)


def as_number(version: str) -> int:
    """Return a resourceVersion as the integer of 64 bits that it is (KEP-5504); 0 when it is none."""
    return int(version) if len(version) <= DIGITS and version.isdecimal() else 0


def _some(changes: Iterator[Deltas[T]]) -> Deltas[T]:
    return [delta for deltas in islice(changes, STEP) for delta in deltas if not _is_same(delta)]


def _is_same(delta: Delta[T]) -> bool:
    if delta.old is None or delta.new is None:
        return False
    return delta.old.metadata.resource_version == delta.new.metadata.resource_version
