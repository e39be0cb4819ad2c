"""Reads what is in a cache directory, as it is at this moment; others may change it meanwhile. Blocking.

What is not understood (other files, links out of the cache) is left out, and so is never removed.
"""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

from llmkube.models.collect import BlobEntry, Inventory, Links, ModelName, PartialEntry, Pin
from llmkube.models.extents import Extents
from llmkube.models.layout import BLOB, storage_error
from llmkube.models.locks import attempt
from llmkube.models.partial import note_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmkube.models.cache import Cache


def inventory(cache: Cache) -> Inventory:
    """Everything that is there. SourceError when the directory cannot be read, or a later LLMKube wrote it."""
    cache.layout.check()
    try:
        links = tuple(_links(cache))
        pins = tuple(_pins(cache))
        linked: dict[str, float] = {}
        for each in links:
            for sha256 in each.blobs:
                linked[sha256] = max(linked.get(sha256, 0.0), each.linked)
        return Inventory(tuple(_blobs(cache, linked)), links, tuple(_partials(cache)), pins)
    except OSError as error:
        raise storage_error(cache.root, error) from None


def _blobs(cache: Cache, linked: dict[str, float]) -> Iterator[BlobEntry]:
    for place in _children(cache.layout.folder("blobs")):
        match, found = BLOB.fullmatch(place.name), _lstat(place)
        if match and found is not None and stat.S_ISREG(found.st_mode):
            used = max(found.st_atime, found.st_mtime, linked.get(match["sha256"], 0.0))
            yield BlobEntry(match["sha256"], found.st_size, used)


def _links(cache: Cache) -> Iterator[Links]:
    for namespace in _children(cache.layout.folder("models")):
        for name in _children(namespace):
            for digest in _children(name):
                if (found := _lstat(digest)) is not None:
                    model = ModelName(namespace.name, name.name)
                    yield Links(model, digest.name, tuple(_targets(digest)), found.st_mtime)


def _targets(folder: Path) -> Iterator[tuple[str, str]]:
    for place in _children(folder):
        try:
            match = BLOB.fullmatch(place.readlink().name)
        except OSError:  # no link, or gone meanwhile
            continue
        if match and not place.name.startswith("."):
            yield place.name, match["sha256"]


def _partials(cache: Cache) -> Iterator[PartialEntry]:
    for place in _children(cache.layout.folder("partial")):
        found = _lstat(place)
        if place.suffix or place.name.startswith(".") or found is None:
            continue
        note = _read(note_of(place))
        total, filename = note.get("size"), note.get("filename")
        yield PartialEntry(
            key=place.name,
            size=found.st_blocks * 512,
            changed=found.st_mtime,
            busy=_is_busy(cache, place.name),
            filename=filename if isinstance(filename, str) else "",
            noted=(Extents.of(note.get("extents")) or Extents()).length,
            total=total if isinstance(total, int) else None,
        )


def _is_busy(cache: Cache, key: str) -> bool:
    place = cache.layout.lock(key)
    if not place.exists():
        return False
    try:
        with attempt(place) as is_free:
            return not is_free
    except OSError:  # a cache that is mounted to be read
        return False


def _pins(cache: Cache) -> Iterator[Pin]:
    for place in _children(cache.layout.folder("pins")):
        if place.suffix == ".json" and not place.name.startswith("."):
            yield _pin(place, _read(place))


def _pin(place: Path, told: dict[str, Any]) -> Pin:
    files = told.get("files")
    pairs = files.items() if isinstance(files, dict) else ()
    shown = tuple((name, sha256) for name, sha256 in pairs if isinstance(sha256, str))
    found = _lstat(place)
    return Pin(place.stem, str(told.get("source") or ""), shown, found.st_mtime if found else 0.0)


def _read(place: Path) -> dict[str, Any]:
    try:
        found = json.loads(place.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _lstat(place: Path) -> Any:
    try:
        return place.lstat()
    except FileNotFoundError:
        return None
