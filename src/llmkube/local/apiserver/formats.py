"""The formats that a schema may name, for texts and for whole numbers. An unknown format says nothing. Pure."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import uuid
from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
WHOLE = {"int32": 2**31, "int64": 2**63}


def _date_time(text: str) -> object:
    if not MOMENT.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))


def _byte(text: str) -> object:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


READERS: Mapping[str, Callable[[str], object]] = {
    "date-time": _date_time,
    "date": date.fromisoformat,
    "byte": _byte,
    "uuid": uuid.UUID,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
}


def fits(text: str, name: str) -> bool:
    reader = READERS.get(name)
    if reader is None:
        return True
    try:
        reader(text)
    except ValueError:
        return False
    return True


def holds(value: float, kind: str, name: str) -> bool:
    """Whether a number of this type and format can be this one."""
    if kind != "integer":
        return True
    limit = WHOLE.get(name, WHOLE["int64"])
    return float(value).is_integer() and -limit <= value < limit
