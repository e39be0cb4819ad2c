"""Ranges of bytes: what holds for every one of them, against a set of numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmkube.models.extents import Extents
from llmkube.models.spans import next_span, uncovered

SIZE = 60
RANGES = st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=12)


def made(ranges: list[tuple[int, int]]) -> Extents:
    extents = Extents()
    for start, end in ranges:
        extents = extents.having(start, end)
    return extents


def numbers(ranges: Any) -> set[int]:
    return {number for start, end in ranges for number in range(start, end)}


@given(RANGES)
def test_they_hold_what_was_put_in_and_nothing_else_and_do_not_touch(ranges: list[tuple[int, int]]) -> None:
    extents = made(ranges)
    assert numbers(extents.ranges) == numbers(ranges)
    assert extents.length == len(numbers(ranges))
    assert all(start < end for start, end in extents.ranges)
    assert all(one[1] < other[0] for one, other in zip(extents.ranges, extents.ranges[1:], strict=False))


@given(RANGES, st.integers(0, SIZE), st.integers(0, SIZE))
def test_what_is_missing_is_the_rest(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    missing = made(ranges).missing(start, end)
    assert numbers(missing) == set(range(start, end)) - numbers(ranges)
    assert list(missing) == sorted(missing)


@given(RANGES)
def test_the_frontier_is_the_first_byte_that_is_missing(ranges: list[tuple[int, int]]) -> None:
    assert made(ranges).frontier == min(set(range(SIZE + 1)) - numbers(ranges))


@given(RANGES, st.integers(0, SIZE))
def test_below_cuts_at_a_size(ranges: list[tuple[int, int]], size: int) -> None:
    assert numbers(made(ranges).below(size).ranges) == {number for number in numbers(ranges) if number < size}


@given(RANGES)
def test_they_survive_a_note(ranges: list[tuple[int, int]]) -> None:
    extents = made(ranges)
    assert Extents.of(json.loads(json.dumps(extents.to_json()))) == extents


@pytest.mark.parametrize(
    "told", [None, 3, "x", [[1]], [[2, 1]], [["0", "1"]], [[-1, 4]], [[0, 1.5]], [[0, 1]] * 10_001]
)
def test_a_note_of_something_else_is_none(told: object) -> None:
    assert Extents.of(told) is None


@given(RANGES, RANGES, st.integers(0, SIZE), st.integers(1, 9))
def test_a_span_is_new_to_everybody_and_the_first_of_its_kind(
    written: list[tuple[int, int]], claimed: list[tuple[int, int]], end: int, most: int
) -> None:
    open_bytes = set(range(end)) - numbers(written) - numbers(claimed)
    span = next_span(made(written), claimed, end=end, most=most)
    if span is None:
        assert not open_bytes
    else:
        assert 0 < span[1] - span[0] <= most
        assert set(range(*span)) <= open_bytes
        assert span[0] == min(open_bytes)


@given(RANGES, st.integers(0, SIZE), st.lists(st.binary(min_size=1, max_size=9), max_size=5))
def test_of_what_arrives_only_what_is_not_written_is_written(
    ranges: list[tuple[int, int]], start: int, pieces: list[bytes]
) -> None:
    whole = b"".join(pieces)
    found = {}
    for at, parts in uncovered(made(ranges), start, pieces):
        for offset, byte in enumerate(b"".join(parts)):
            found[at + offset] = byte
    assert found == {start + at: byte for at, byte in enumerate(whole) if start + at not in numbers(ranges)}
