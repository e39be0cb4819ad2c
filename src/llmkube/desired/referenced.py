"""What Secrets and ConfigMaps that a spec names have in them, told without telling it.

    Reference(kind: "Secret" | "ConfigMap", name: str)      in the namespace of whoever refers to it
    Found(entries: Mapping[str, Entry], problem: str)       what is there, or why nothing can be read
    Entry(size: int, lines: int, padded: int, breaks: int, marks: frozenset[str], labels: tuple[str, ...], version: str)
    found(data: Data, kind: ReferenceKind) -> Found
    trouble(where: str, reference: Reference, key: str, found: Found | None, *, may_be_empty=False) -> Trouble | None

Pure. An Entry never holds content: not even a plain digest of it, which would let whoever reads a Deployment guess a
short secret. `version` and `marks` are HMACs keyed by the object's uid, which nobody knows who may not read the object.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from llmkube.desired.conditions import one_line
from llmkube.desired.pod_trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llmkube.kube.objects import Data

ReferenceKind = Literal["Secret", "ConfigMap"]
MOST_LABELS = 8
MOST_MARKS = 32
MOST_NAMED = 5
VERSION_LENGTH = 16
ABSENT = "none"
"""The problem of an object that is not there; any other is one of reading it."""
_BREAK = re.compile(rb"\r\n|\r|\n")
_PEM = re.compile(rb"^-----BEGIN ([A-Z0-9 ]{1,64})-----\s*$", re.MULTILINE)


class Reference(NamedTuple):
    """An object by its name."""

    kind: ReferenceKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key: its `size` in bytes, how many `lines` say something (blank ones and # comments do not), PEM `labels`.

    `padded` of the lines end in white space (a carriage return among it). `breaks` are the line ends, that of the last
    line included. `marks` are equal for equal lines of one Secret, of the first MOST_MARKS lines. `version` is another
    one once the content is; that of another object (a new uid) is, too.
    """

    size: int
    lines: int
    padded: int
    breaks: int
    marks: frozenset[str]
    labels: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Found:
    """What an object has; `problem` says why it cannot be read."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    problem: str = ""


def found(data: Data, kind: ReferenceKind) -> Found:
    """Return what is told of an object."""
    marked = MOST_MARKS if kind == "Secret" else 0
    contents = _contents(data, kind)
    return Found({name: _entry(data.metadata.uid, name, content, marked=marked) for name, content in contents})


def trouble(
    where: str, reference: Reference, key: str, found: Found | None, *, may_be_empty: bool = False
) -> Trouble | None:
    """Return that the key is not there, or has nothing in it; `where` is the path of the spec that refers to it."""
    if found is None or found.problem == ABSENT:
        fix = f"create it with a key {key}, or correct {where}"
        return Trouble(f"{reference.kind}NotFound", one_line(f"{where}: expected {reference}, found none; {fix}"))
    if found.problem:
        line = f"{where}: expected that {reference} can be read, found {found.problem}; it is tried again"
        return Trouble(f"{reference.kind}Unreadable", one_line(line))
    expected = f"{where}: expected a key {key} in {reference}"
    if key not in found.entries:
        line = f"{expected}, found {_named(found)}; add it to the {reference.kind}, or correct {where}"
        return Trouble(f"{reference.kind}KeyNotFound", one_line(line))
    if not found.entries[key].size and not may_be_empty:
        return Trouble(f"{reference.kind}Empty", one_line(f"{expected} with something in it, found it empty; fill it"))
    return None


def _named(found: Found) -> str:
    names = sorted(found.entries)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}" if names else "no keys"


def _contents(data: Data, kind: ReferenceKind) -> Iterator[tuple[str, bytes]]:
    """What is no base64 (a server would refuse it) counts as empty."""
    for name, text in data.data.items():
        yield name, text.encode(errors="replace") if kind == "ConfigMap" else _decoded(text)
    for name, text in data.binary_data.items():
        yield name, _decoded(text)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode(errors="replace"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _entry(uid: str, name: str, content: bytes, *, marked: int) -> Entry:
    lines = [line for line in content.split(b"\n") if line.strip() and not line.startswith(b"#")]
    return Entry(
        size=len(content),
        lines=len(lines),
        padded=sum(line != line.rstrip() for line in lines),
        breaks=len(_BREAK.findall(content)),
        marks=frozenset(_keyed(uid, line.strip()) for line in lines[:marked]),
        labels=tuple(each.decode() for each in _PEM.findall(content)[:MOST_LABELS]),
        version=_keyed(uid, name.encode() + b"\0" + content),
    )


def _keyed(uid: str, content: bytes) -> str:
    digest = hmac.new(uid.encode(), content, hashlib.sha256)
    return digest.hexdigest()[:VERSION_LENGTH]
