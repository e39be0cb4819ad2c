"""How many connections: found by trying, given up where they do not help; which of them are replaced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmkube.models.errors import SourceError
from llmkube.models.refusal import retry_after
from llmkube.models.retry import LONGEST_ASKED, MOST_TRIES, pause
from llmkube.models.slots import FIRST, MOST, REST, Climb, is_too_slow


def climbed(rate: list[float]) -> Climb:
    """After as many intervals, with what each number of connections brings."""
    climb = Climb()
    for _ in range(12):
        climb = climb.after(rate[climb.limit])
    return climb


def test_a_link_that_each_connection_fills_a_part_of_gets_as_many_as_there_may_be() -> None:
    assert climbed([10.0 * number for number in range(MOST + 1)]).limit == MOST


def test_a_link_that_is_full_keeps_the_number_that_filled_it() -> None:
    assert climbed([0, 30, 60, 90, 100, 101, 101, 101, 101]).limit == 4


def test_where_more_connections_bring_nothing_there_are_as_few_as_in_the_beginning() -> None:
    assert climbed([0, *[100.0] * MOST]).limit == FIRST


def test_after_a_rest_it_is_tried_again() -> None:
    climb = Climb(4, 100.0).after(50.0)
    assert (climb.limit, climb.rest) == (3, REST)
    for _ in range(REST):
        climb = climb.after(70.0)
    assert climb.after(70.0).limit == 4


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e10)), max_size=80))
def test_there_is_always_one_and_never_more_than_the_most(rates: list[float | None]) -> None:
    climb = Climb()
    for rate in rates:
        climb = climb.pushed_back() if rate is None else climb.after(rate)
        assert 1 <= climb.limit <= MOST


@pytest.mark.parametrize(
    ("received", "seconds", "others", "is_slow"),
    [
        (100, 20.0, 0.0, True),
        (100, 10.0, 1e6, False),
        (20 * 2048, 20.0, 0.0, False),
        (20 * 90_000, 20.0, 1e6, True),
        (20 * 110_000, 20.0, 1e6, False),
    ],
    ids=["a drip", "too early to say", "slow, but there is nothing better", "a tenth of the others", "slow enough"],
)
def test_a_connection_is_replaced_when_it_is_slow_beyond_reason(
    received: int, seconds: float, others: float, is_slow: bool
) -> None:
    assert is_too_slow(received, seconds, others) is is_slow


def busy(retry_after: float | None = None) -> SourceError:
    return SourceError("TooManyRequests", "busy", retry_after=retry_after)


def test_pauses_grow_to_a_limit_and_end() -> None:
    pauses = [pause(busy(), tries) for tries in range(1, MOST_TRIES + 1)]
    assert pauses[-1] is None
    shown = [each for each in pauses if each is not None]
    assert shown == sorted(shown)
    assert max(shown) <= 30


def test_a_retry_after_is_honoured_within_reason() -> None:
    assert pause(busy(17.0), 1) == 17.0
    assert pause(busy(0.0), 1) == pause(busy(), 1)
    assert pause(busy(LONGEST_ASKED + 1), 1) is None, "left to whoever runs the fetch again"


@pytest.mark.parametrize("reason", ["NoSpace", "SourceChanged", "NotGGUF", "Forbidden"])
def test_what_the_same_request_cannot_heal_is_not_tried_again(reason: str) -> None:
    assert pause(SourceError(reason, "no"), 1) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("1" * 40, None),
        ("", None),
    ],
)
def test_a_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after(text, 1000.0) == seconds
