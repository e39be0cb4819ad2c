"""Kubernetes quantities, as apimachinery reads them."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmkube.api.quantity import QuantityError, format_bytes, parse, to_int


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("500m", "0.5"),
        ("4Gi", str(4 * 2**30)),
        ("1.5Ki", "1536"),
        ("2k", "2000"),
        ("1e3", "1000"),
        ("12E-1", "1.2"),
        ("1E", "1e18"),
        (".5", "0.5"),
        ("+3", "3"),
        ("100n", "1e-7"),
    ],
)
def test_a_quantity_has_its_exact_value(text: str, value: str) -> None:
    assert parse(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", "-1", "Gi", "4GB", "4 Gi", "1e", "1e999", "0x10", "४", "1\n", "9" * 33, "8Ei", "nan", "1.2.3", "4gi"]
)
def test_what_is_no_quantity_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(QuantityError) as caught:
        parse(text)
    assert "expected a quantity" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fractions_of_a_byte_round_up() -> None:
    assert to_int("100m") == 1
    assert to_int("2500m") == 3


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (1023, "1023"), (1024, "1Ki"), (98362432, "93.8Mi"), (2**40, "1Ti"), (2**62, "4Ei")]
)
def test_bytes_read_as_people_write_them(size: int, text: str) -> None:
    assert format_bytes(size) == text


@given(st.integers(0, 2**62))
def test_printed_bytes_are_a_quantity_close_to_the_number(size: int) -> None:
    assert abs(to_int(format_bytes(size)) - size) <= size * 0.06 + 1


@given(st.text(max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    with contextlib.suppress(QuantityError):
        assert parse(text) >= 0
