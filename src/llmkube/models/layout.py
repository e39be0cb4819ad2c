"""Where things are in a cache directory. The layout has a version, which is the name of its one folder.

v1/blobs/sha256-<hex>                               complete and verified; nothing else ever has this name
v1/models/<namespace>/<name>/<digest12>/<file>      a relative link to a blob
v1/pins/<name>.json                                 what was fetched ahead, and stays
v1/partial/<key>, <key>.json                        bytes of a fetch under way, and which of them are on disk
v1/known/<key>.json                                 which blob a source's bytes became
v1/locks/<key>.lock                                 who fetches it, links it or removes it

A later layout gets a folder of its own (v2) and moves what it takes over there by rename, under the lock `layout`, so
that nothing is fetched again; an older LLMKube refuses a directory that has one.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

    from llmkube.models.collect import ModelName

VERSION = 1
FOLDERS = ("blobs", "partial", "locks", "known", "models", "pins")
BLOB = re.compile(r"sha256-(?P<sha256>[0-9a-f]{64})")
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_VERSION = re.compile(r"v(?P<number>[1-9]\d{0,8})")


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths only; `prepare` makes the folders."""

    root: Path

    @property
    def version(self) -> Path:
        return self.root / f"v{VERSION}"

    def folder(self, name: str) -> Path:
        return self.version / name

    def blob(self, sha256: str) -> Path:
        return self.folder("blobs") / f"sha256-{sha256}"

    def partial(self, key: str) -> Path:
        return self.folder("partial") / key

    def known(self, key: str) -> Path:
        return self.folder("known") / f"{key}.json"

    def links(self, model: ModelName, digest12: str) -> Path:
        return self.folder("models") / model.namespace / model.name / digest12

    def pin(self, name: str) -> Path:
        return self.folder("pins") / f"{name}.json"

    def lock(self, key: str) -> Path:
        return self.folder("locks") / f"{key}.lock"

    def check(self) -> None:
        """SourceError when the root is no directory, or was written by a later LLMKube."""
        try:
            names = [each.name for each in self.root.iterdir()]
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(self.root, error) from None
        found = [int(match["number"]) for name in names if (match := _VERSION.fullmatch(name))]
        if any(number > VERSION for number in found):
            message = f"cache {self.root}: expected layout v{VERSION}, found v{max(found)}, of a later llmkube"
            raise SourceError("CacheTooNew", f"{message}; use that llmkube, or another directory")

    def prepare(self) -> None:
        """Make the folders. SourceError when that cannot be, or `check` has something against it."""
        self.check()
        try:
            for name in FOLDERS:
                self.folder(name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(self.root, error) from None


def storage_error(root: Path, error: OSError) -> SourceError:
    """What the disk said, as an error about the cache."""
    said = error.strerror or str(error)
    if error.errno in NO_SPACE:
        return SourceError("NoSpace", f"cache {root}: expected room for the file, found: {said}; make room there")
    message = f"cache {root}: expected a directory to write to, found: {said}; check the volume"
    return SourceError("CacheNotWritable", message)


def damaged(root: Path, place: Path, found: str) -> SourceError:
    """Something stands where a file of the cache belongs; nothing is removed that is not understood."""
    where = place.relative_to(root)
    message = f"cache {root}: expected a file at {where}, found {found}; remove it and fetch again"
    return SourceError("CacheDamaged", message)
