"""What Kubernetes adds to CEL, as far as it is known here: format(), optional old values, quantities, sums of lists.

A quantity is a fraction, an optional value a list of one or none. A function raises ValueError or TypeError where it
has no value: the other side of a || may still be true. Pure.
"""

from __future__ import annotations

import re
from typing import Any

from celpy.celtypes import BoolType, IntType, ListType, StringType

from llmkube.local.apiserver import quantities


def quantity(text: Any) -> Any:
    if (found := quantities.value(text)) is None:
        raise ValueError("quantities must match the regular expression of resource.Quantity")
    return found


def formatted(text: Any, values: Any) -> Any:
    """format() for %s and %d."""
    return StringType(str(text).replace("%d", "%s") % tuple(str(value) for value in values))


def value_of(optional: Any) -> Any:
    if not optional:
        raise ValueError("optional.none() dereference")
    return optional[0]


def index_of(values: Any, wanted: Any) -> Any:
    return IntType(next((at for at, one in enumerate(values) if one == wanted), -1))


FUNCTIONS: dict[str, Any] = {
    "format": formatted,
    "hasValue": lambda optional: BoolType(bool(optional)),
    "value": value_of,
    "orValue": lambda optional, other: optional[0] if optional else other,
    "isQuantity": lambda text: BoolType(quantities.value(text) is not None),
    "quantity": quantity,
    "isGreaterThan": lambda one, other: BoolType(one > other),
    "isLessThan": lambda one, other: BoolType(one < other),
    "compareTo": lambda one, other: IntType((one > other) - (one < other)),
    "isSorted": lambda values: BoolType(list(values) == sorted(values)),
    "sum": lambda values: sum(values, IntType(0)),
    "min": min,
    "max": max,
    "indexOf": index_of,
    "find": lambda text, pattern: StringType(found[0] if (found := re.search(str(pattern), str(text))) else ""),
    "findAll": lambda text, pattern: ListType([StringType(one[0]) for one in re.finditer(str(pattern), str(text))]),
}
