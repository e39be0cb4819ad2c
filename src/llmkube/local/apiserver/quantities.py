"""resource.Quantity: its exact value, and the one way of writing it that Kubernetes gives back. Pure."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil
from typing import Any

TEXT = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?")
DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
NANO = Fraction(1, 10**9)
LARGEST_DECIMAL, LARGEST_BINARY = 6, 6


def value(text: Any) -> Fraction | None:
    """None where it is no quantity; what is finer than a billionth is rounded up."""
    found = TEXT.fullmatch(str(text))
    if found is None:
        return None
    number, suffix, power = found.groups()
    unit = Fraction(1024) ** BINARY[suffix] if suffix in BINARY else Fraction(1000) ** DECIMAL[suffix or ""]
    return ceil(Fraction(number) * unit * Fraction(10) ** int(power or 0) / NANO) * NANO


def canonical(text: Any) -> Any:
    """As Kubernetes writes it: the largest unit in which it is whole. What is no quantity is given back as it is."""
    amount = value(text)
    if amount is None or isinstance(text, bool) or not isinstance(text, str | int | float):
        return text
    if str(text).endswith("i") and abs(amount) >= 1024 and amount.denominator == 1:
        return _in_units(amount, 1024, 0, LARGEST_BINARY, {power: name for name, power in BINARY.items()})
    is_exponent = TEXT.fullmatch(str(text))[3] is not None  # type: ignore[index]
    names = {power: f"e{power * 3}" if is_exponent and power else name for name, power in DECIMAL.items()}
    return _in_units(amount, 1000, -3, LARGEST_DECIMAL, names)


def _in_units(amount: Fraction, base: int, least: int, most: int, names: dict[int, str]) -> str:
    powers = range(most, least - 1, -1) if amount else [0]
    power = next(one for one in powers if (amount / Fraction(base) ** one).denominator == 1)
    return f"{amount / Fraction(base) ** power}{names.get(power, '')}"
