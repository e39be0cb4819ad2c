"""Kubernetes quantities (`500m`, `4Gi`, `1.5e3`): exact on reading, readable on printing; no floats."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

PATTERN = r"^\+?([0-9]{1,18}(\.[0-9]{0,9})?|\.[0-9]{1,9})([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$"
_SHAPE = re.compile(PATTERN)
_BINARY = {suffix + "i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)}
_DECIMAL = {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)}
_FRACTION = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_SUFFIXES = _BINARY | _DECIMAL | _FRACTION | {"": Decimal(1)}
LIMIT = Decimal(2**63 - 1)
REMEMBERED = 1024
"""Quantities that are read once: the same few occur in every spec, and several times in a pass."""


class QuantityError(ValueError):
    """A text that is no quantity Kubernetes would take here; the message is one line."""


@lru_cache(maxsize=REMEMBERED)
def parse(text: str) -> Decimal:
    """Return the exact value of a non-negative quantity of at most 2^63-1."""
    match = _SHAPE.match(text) if len(text) <= 32 else None
    if match is None or text.endswith("\n"):
        raise QuantityError(f"expected a quantity such as 500m, 2 or 4Gi, found {text[:40]!r}")
    number, suffix = match[1], match[3] or ""
    scale = _SUFFIXES[suffix] if suffix in _SUFFIXES else Decimal("1" + suffix)
    value = Decimal(number) * scale
    if value > LIMIT:
        raise QuantityError(f"expected a quantity of at most 2^63-1, found {text!r}")
    return value


def to_int(text: str) -> int:
    """Return the value rounded up to a whole number, as Kubernetes rounds bytes."""
    return int(parse(text).to_integral_value(rounding=ROUND_CEILING))


@lru_cache(maxsize=REMEMBERED)
def format_bytes(size: int) -> str:
    """Return bytes as people and Kubernetes read them: `93.8Mi`, always a quantity that `parse` takes."""
    if size < 1024:
        return str(size)
    suffix, scale = next(((s, v) for s, v in _BINARY.items() if size < v * 1024), ("Ei", _BINARY["Ei"]))
    return f"{Decimal(size) / scale:.1f}".removesuffix(".0") + suffix
