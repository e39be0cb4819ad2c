"""What Secrets and ConfigMaps that a spec names have in them, told without telling it.

    Reference(kind: "Secret" | "ConfigMap", name: str)      in the namespace of whoever refers to it
    Found(entries: Mapping[str, Entry], problem: str)       what is there, or why nothing can be read
    Entry(size: int, lines: int, padded: int, breaks: int, marks: frozenset[str], labels: tuple[str, ...], version: str)
    found(data: Data, kind: ReferenceKind) -> Found
    trouble(where: str, reference: Reference, key: str, found: Found | None, *, may_be_empty=False) -> Trouble | None

Pure. An Entry never holds content: not even a plain digest of it, which would let whoever reads a Deployment guess a
short secret. `version` and `marks` are keyed by the object's uid, which nobody knows who may not read the object.

An object may be a megabyte of nothing but line ends, or of keys, and the loop stands still meanwhile: lines are looked
at one by one up to MOST_LINES in all, keys up to MOST_KEYS.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from itertools import islice
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
MOST_KEYS = 128
MOST_LINES = 16_384
VERSION_LENGTH = 16
ABSENT = "none"
"""The problem of an object that is not there; any other is one of reading it."""
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,32})-----[^\S\n]{0,8}$", re.MULTILINE)
"""Without a `^`: what begins with a literal is searched for ten times as fast."""


class Reference(NamedTuple):
    """An object by its name."""

    kind: ReferenceKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key: its `size` in bytes, how many `lines` say something (blank ones and # comments do not), PEM `labels`.

    Those beyond the object's share of MOST_LINES are not counted. `padded` of the lines end in white space (a carriage
    return among it). `breaks` are the line ends, that of the last line included. `marks` are equal for equal lines of
    one Secret, of the first MOST_MARKS lines. `version` is another one once the content is; that of another object (a
    new uid) is, too.
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
    """Return what is told of an object; of one with more than MOST_KEYS keys, only that."""
    keys = len(data.data) + len(data.binary_data)
    if keys > MOST_KEYS:
        return Found(problem=f"{keys} keys, more than the {MOST_KEYS} that are looked at")
    marked, most = MOST_MARKS if kind == "Secret" else 0, MOST_LINES // max(keys, 1)
    contents = _contents(data, kind)
    return Found({name: _entry(data.metadata.uid, name, each, marked=marked, most=most) for name, each in contents})


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


def _entry(uid: str, name: str, content: bytes, *, marked: int, most: int) -> Entry:
    said = [line for line in content.split(b"\n", most)[:most] if line.strip() and not line.startswith(b"#")]
    return Entry(
        size=len(content),
        lines=len(said),
        padded=sum(line != line.rstrip() for line in said),
        breaks=content.count(b"\n") + content.count(b"\r") - content.count(b"\r\n"),
        marks=frozenset(_mark(uid, line.strip()) for line in said[:marked]),
        labels=_labels(content),
        version=_keyed(uid, name.encode() + b"\0" + content),
    )


def _labels(content: bytes) -> tuple[str, ...]:
    """Of what begins a line, among the first MOST_LABELS that look like it."""
    found = islice(_PEM.finditer(content), MOST_LABELS)
    return tuple(each[1].decode() for each in found if content[max(each.start() - 1, 0) : each.start()] in {b"", b"\n"})


def _keyed(uid: str, content: bytes) -> str:
    digest = hmac.new(uid.encode(), content, hashlib.sha256)
    return digest.hexdigest()[:VERSION_LENGTH]


def _mark(uid: str, line: bytes) -> str:
    """Of thousands of lines in all; a third of what an HMAC costs. Never leaves the process."""
    return hashlib.blake2b(line, key=uid.encode()[: hashlib.blake2b.MAX_KEY_SIZE], digest_size=8).hexdigest()
