"""What of a cache may go: decisions over what is there (`Inventory`), without touching it.

    after_fetch(inventory, model, keep=…, now=…) -> Removal      a Model's older files, once its new ones are linked
    clearing(inventory, wish, now=…) -> Removal                  what a person asked to clear; CollectError

What every one of them holds to: a blob that a remaining link or pin refers to stays. Times are in seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

DAY = 24 * 3600.0
GRACE = DAY
"""How long a blob may be without a link: the parts of a split model become blobs one by one, linked together."""
STALE = 7 * DAY
"""How long a fetch that was broken off may be gone on with before its bytes are in the way."""
SHORT = 12
"""Digits of a digest that name it for people, and that are in a link's path."""


@dataclass(frozen=True, slots=True)
class ModelName:
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """`used`: when its bytes were last read or linked, as well as the file system tells (relatime: to a day)."""

    sha256: str
    size: int
    used: float


@dataclass(frozen=True, slots=True)
class Links:
    """The files of one model at one digest: `files` are names and the digests of the blobs they point to."""

    model: ModelName
    digest12: str
    files: tuple[tuple[str, str], ...]
    linked: float

    @property
    def blobs(self) -> frozenset[str]:
        return frozenset(sha256 for _, sha256 in self.files)


@dataclass(frozen=True, slots=True)
class PartialEntry:
    """A fetch under way (`busy`), or one that was broken off: `size` is what it takes on disk, reserved space included;
    `noted` bytes of `total` are what a later run goes on from.
    """

    key: str
    size: int
    changed: float
    busy: bool = False
    filename: str = ""
    noted: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """Blobs that were fetched ahead and stay until they are unpinned."""

    name: str
    source: str
    files: tuple[tuple[str, str], ...]
    made: float

    @property
    def blobs(self) -> frozenset[str]:
        return frozenset(sha256 for _, sha256 in self.files)


@dataclass(frozen=True, slots=True)
class Inventory:
    blobs: tuple[BlobEntry, ...] = ()
    links: tuple[Links, ...] = ()
    partials: tuple[PartialEntry, ...] = ()
    pins: tuple[Pin, ...] = ()

    @property
    def referenced(self) -> frozenset[str]:
        """The digests that something points to."""
        return _blobs_of((*self.links, *self.pins))

    @property
    def unused(self) -> tuple[BlobEntry, ...]:
        referenced = self.referenced
        return tuple(blob for blob in self.blobs if blob.sha256 not in referenced)

    @property
    def missing(self) -> tuple[str, ...]:
        """The digests that something points to and that are not here: removed as corrupted, not fetched again yet."""
        return tuple(sorted(self.referenced - {blob.sha256 for blob in self.blobs}))

    def without(self, links: Collection[Links]) -> Inventory:
        left = tuple(each for each in self.links if each not in links)
        return Inventory(self.blobs, left, self.partials, self.pins)


@dataclass(frozen=True, slots=True)
class Removal:
    """What may go. `forced` are blobs that go although something refers to them: their links and pins are in it too."""

    links: tuple[Links, ...] = ()
    blobs: tuple[BlobEntry, ...] = ()
    partials: tuple[PartialEntry, ...] = ()
    pins: tuple[Pin, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(each.size for each in self.blobs) + sum(each.size for each in self.partials)

    def __bool__(self) -> bool:
        return bool(self.links or self.blobs or self.partials or self.pins)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants to clear; `older_than` in seconds narrows unused blobs and partials."""

    digests: tuple[str, ...] = ()
    all_unused: bool = False
    partials: bool = False
    older_than: float = 0.0
    force: bool = False
    models: tuple[ModelName, ...] = field(default=())


class CollectError(Exception):
    """One line: what was asked for, what is in its way, what to do."""


def after_fetch(inventory: Inventory, model: ModelName, *, keep: Collection[str], now: float) -> Removal:
    """The Model's links but those of the digests in `keep` (12 digits each), and the blobs that nothing needs then.

    Blobs that never had a link, and what was fetched and broken off, go only after GRACE and STALE.
    """
    dropped = tuple(each for each in inventory.links if each.model == model and each.digest12 not in keep)
    freed = _blobs_of(dropped)
    blobs = _blobs(inventory.without(dropped), lambda blob: blob.sha256 in freed or now - blob.used > GRACE)
    return Removal(dropped, blobs, _partials(inventory.partials, now - STALE))


def clearing(inventory: Inventory, wish: Wish, *, now: float) -> Removal:
    """What the wish comes to; CollectError when it names what is not there, or what is in use and not forced."""
    named = [_named(inventory.blobs, digest) for digest in wish.digests]
    links = [each for each in inventory.links if each.model in wish.models]
    freed = _blobs_of(links)
    pins: list[Pin] = []
    for blob in named:
        links += [each for each in inventory.links if blob.sha256 in each.blobs and each not in links]
        pins += [each for each in inventory.pins if blob.sha256 in each.blobs and each not in pins]
        if not wish.force:
            _refuse_if_used(blob, inventory)
    left = Inventory(inventory.blobs, inventory.without(links).links, (), _without(inventory.pins, pins))
    old = now - wish.older_than
    wanted = freed | {blob.sha256 for blob in named}
    blobs = _blobs(left, lambda blob: blob.sha256 in wanted or (wish.all_unused and blob.used <= old))
    return Removal(tuple(links), blobs, _partials(inventory.partials, old) if wish.partials else (), tuple(pins))


def _blobs_of(users: Iterable[Links | Pin]) -> frozenset[str]:
    return frozenset(sha256 for each in users for sha256 in each.blobs)


def _named(blobs: Iterable[BlobEntry], digest: str) -> BlobEntry:
    found = [blob for blob in blobs if blob.sha256.startswith(digest.removeprefix("sha256-").removeprefix("sha256:"))]
    if len(found) == 1:
        return found[0]
    several = f"{len(found)} that begin so; give more digits" if found else "none; `llmkube cache list` shows them"
    raise CollectError(f"blob {digest}: expected one blob of this digest, found {several}")


def _refuse_if_used(blob: BlobEntry, inventory: Inventory) -> None:
    users = [str(each.model) for each in inventory.links if blob.sha256 in each.blobs]
    users += [f"pin {each.name}" for each in inventory.pins if blob.sha256 in each.blobs]
    if users:
        who = ", ".join(sorted(set(users)))
        message = f"blob {blob.sha256[:SHORT]}: expected one that nothing refers to, found {who}"
        raise CollectError(f"{message}; remove those first, or use --force")


def _blobs(left: Inventory, may_go: Callable[[BlobEntry], bool]) -> tuple[BlobEntry, ...]:
    return tuple(blob for blob in left.unused if may_go(blob))


def _partials(partials: Iterable[PartialEntry], before: float) -> tuple[PartialEntry, ...]:
    return tuple(each for each in partials if not each.busy and each.changed <= before)


def _without(pins: Iterable[Pin], gone: Collection[Pin]) -> tuple[Pin, ...]:
    return tuple(each for each in pins if each not in gone)
