"""Verified bytes of before: what is kept of them in a claim, and when they may go.

    retained(previous: ModelStatus, *, current: Place | None, gone: Collection[Place]) -> tuple[Retained, ...]
    kept_digests(done: Done, entries: Iterable[Retained]) -> tuple[str, ...]     what a collection must not take
    Place(claim: str, sha256: str)

Pure. Bytes that were verified once are on this list from the moment that they are no longer the model's, until a
collection has taken them away, or their claim is gone: what is on it may still serve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmkube.api.model import Retained

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from llmkube.api.model import ModelStatus
    from llmkube.desired.fetch_result import Done

MOST = 16


class Place(NamedTuple):
    """One model's bytes in one claim."""

    claim: str
    sha256: str


def place(entry: Retained) -> Place:
    """Return what an entry is about."""
    return Place(entry.claim, entry.sha256)


def retained(
    previous: ModelStatus, *, current: Place | None, gone: Collection[Place] = frozenset()
) -> tuple[Retained, ...]:
    """Return what is kept beside the `current` bytes, the latest first."""
    entries = (*_current_of(previous), *previous.retained)
    kept = {place(each): each for each in reversed(entries) if place(each) != current and place(each) not in gone}
    return tuple(reversed(kept.values()))[:MOST]


def kept_digests(done: Done, entries: Iterable[Retained]) -> tuple[str, ...]:
    """Return the digests of the current bytes and of entries that are still used, their projectors' among them."""
    found = {done.sha256, done.projector.sha256 if done.projector else None}
    found |= {digest for each in entries for digest in (each.sha256, each.mmproj_sha256)}
    return tuple(sorted(each for each in found if each))


def _current_of(previous: ModelStatus) -> tuple[Retained, ...]:
    if not previous.sha256 or not previous.path or not previous.claim:
        return ()
    return (
        Retained(
            sha256=previous.sha256,
            path=previous.path,
            size_bytes=previous.size_bytes or 0,
            claim=previous.claim,
            mmproj_sha256=previous.mmproj.sha256 if previous.mmproj else None,
        ),
    )
