"""Which flags an engine takes, by its build; an image that does not tell its build gets only flags that are old.

    build_of(image: str, *, told: int | None = None) -> Build
    Build(number: int | None)
        .flags: frozenset[str]
        .has(flag: str) -> bool           in any spelling, --a_b for --a-b
        .values(flag: str) -> int         how many words follow it
        .nearest(flag: str) -> str | None

flags.json holds what was measured (hack/engine-flags): the newest build whole, older ones by what differs. A build
between two of them has what both have. Pure.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAG = re.compile(r"(?:^|-)b(\d{3,7})$")
_OLD = """
--model --alias --mmproj --host --port --ctx-size --parallel --threads --n-gpu-layers --split-mode --tensor-split
--main-gpu --cache-type-k --cache-type-v --batch-size --ubatch-size --metrics --slots --jinja --embeddings --reranking
--reasoning-format --api-key-file --ssl-key-file --ssl-cert-file --lora-scaled --chat-template-file --model-draft
--gpu-layers-draft
"""
LONG_STANDING = frozenset(_OLD.split())
"""What a build of unknown number is trusted to have."""


class _Older(msgspec.Struct, frozen=True):
    lacks: frozenset[str]
    has: frozenset[str]


class _Table(msgspec.Struct, frozen=True):
    newest: int
    flags: dict[str, int]
    older: dict[int, _Older]


@dataclass(frozen=True, slots=True)
class Build:
    """A build of llama-server; `number` None: nobody knows which, or what it takes."""

    number: int | None

    def has(self, flag: str) -> bool:
        """Whether it takes the flag; for an unknown build, whether every build of some age does."""
        return spelled(flag) in self.flags

    @property
    def flags(self) -> frozenset[str]:
        """All of them, in every spelling."""
        return LONG_STANDING if self.number is None else _flags(self.number)

    def values(self, flag: str) -> int:
        """How many words follow it; 1 where that is not known."""
        return _values().get(spelled(flag), 1)

    def nearest(self, flag: str) -> str | None:
        """The flag that the person may have meant."""
        return next(iter(difflib.get_close_matches(spelled(flag), self.flags, n=1, cutoff=0.6)), None)


def build_of(image: str, *, told: int | None = None) -> Build:
    """The build that the image's tag ends with (`server-cuda-b11669`), else the one that the operator was told."""
    return _build(image, told)


@lru_cache(maxsize=256)
def _build(image: str, told: int | None) -> Build:
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = _TAG.search(tag)
    number = int(found[1]) if found else told
    return Build(number if number is not None and _is_known(number) else None)


def spelled(flag: str) -> str:
    """The flag as the engine reads it: without a value, --a_b as --a-b."""
    name = flag.partition("=")[0]
    return name.replace("_", "-") if name.startswith("--") else name


def known_builds() -> tuple[int, ...]:
    """Those that were measured, the oldest first."""
    return (*sorted(_table().older), _table().newest)


def _is_known(number: int) -> bool:
    measured = known_builds()
    return measured[0] <= number <= measured[-1]


@cache
def _table() -> _Table:
    return msgspec.json.decode((files("llmkube.desired.engine") / "flags.json").read_bytes(), type=_Table, strict=False)


@cache
def _values() -> Mapping[str, int]:
    return {name: count for names, count in _table().flags.items() for name in names.split()}


@lru_cache(maxsize=64)
def _flags(number: int) -> frozenset[str]:
    """Of the newest build all; of another one what the measured builds on both sides of it have."""
    table = _table()
    below, above = (max(n for n in known_builds() if n <= number), min(n for n in known_builds() if n >= number))
    return _measured(table, below) & _measured(table, above)


def _measured(table: _Table, number: int) -> frozenset[str]:
    """A flag that has one long spelling that is lacking, and no other, is lacking in its short ones too."""
    older = table.older.get(number, _Older(frozenset(), frozenset()))
    there: set[str] = set(older.has)
    for names in table.flags:
        spellings = names.split()
        long = [name for name in spellings if name.startswith("--")]
        if any(name not in older.lacks for name in long):
            there |= {name for name in spellings if name not in older.lacks}
    return frozenset(there)
