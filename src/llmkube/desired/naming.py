"""Names of what the operator makes. A name depends on nothing but its arguments: the same ones give it for ever.

    short_hash(*parts: str) -> str                                   8 hex digits
    child_name(name: str, suffix: str = "", *, limit: int = 63) -> str    "<name>-<suffix>", shortened with a hash
    dns_label(name: str) -> str                                      a Service's name: an RFC 1035 label

It must never map two parents to one name, nor give a name that the API server refuses.
"""

from __future__ import annotations

import hashlib
import re

LIMIT = 63
"""What a label's value, a Service's and a Job's name may have."""
_HASH_LENGTH = 8
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def short_hash(*parts: str) -> str:
    """Return 8 hex digits; where one part ends and the next begins counts."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()[:_HASH_LENGTH]


def child_name(name: str, suffix: str = "", *, limit: int = LIMIT) -> str:
    """Return `<name>-<suffix>`; a name too long for `limit` is cut, and a hash of all of it stands in for the rest."""
    tail = f"-{suffix}" if suffix else ""
    if len(name) + len(tail) <= limit:
        return name + tail
    return _hashed(name, tail, room=limit - len(tail))


def dns_label(name: str) -> str:
    """Return the name itself when it is an RFC 1035 label of at most 63 characters, else one made from it."""
    if len(name) <= LIMIT and _LABEL.fullmatch(name):
        return name
    flat = name.replace(".", "-")
    return _hashed(flat if flat[:1].isalpha() else f"s-{flat}", "", room=LIMIT, of=name)


def _hashed(name: str, tail: str, *, room: int, of: str = "") -> str:
    kept = room - _HASH_LENGTH - 1
    if kept < 1:
        raise ValueError(f"{name}: expected room for a hash, found {room} characters; give a shorter suffix")
    return f"{name[:kept].rstrip('-.')}-{short_hash(of or name)}{tail}"
