"""What strangers write is searched in a time that is linear in its length: by the form of each pattern, not by a clock.

From one place a pattern may try only so many ways, whatever stands there. A repeat has as many as it may stop at, or
one where what it repeats cannot be what comes next: then there is nothing to go back for. One without a bound has no
end of them.
"""

from __future__ import annotations

import inspect
import re
import string
from collections.abc import Callable, Iterator, Sequence
from re import _constants as told
from re import _parser as parser
from types import ModuleType
from typing import Any

import pytest

from llmkube.desired import conditions, crash, engine_log, pod_trouble, referenced

MOST_WAYS = 1000
CHARACTERS = string.printable + "é"
Tokens = Sequence[tuple[Any, Any]]
OF_CLASSES: dict[Any, Callable[[str], bool]] = {
    told.CATEGORY_DIGIT: str.isdigit,
    told.CATEGORY_SPACE: str.isspace,
    told.CATEGORY_NOT_SPACE: lambda each: not each.isspace(),
    told.CATEGORY_WORD: lambda each: each.isalnum() or each == "_",
}


def first(tokens: Tokens) -> set[str]:
    """Return what the tokens can begin with: anything where there are none left, or the first is an assertion."""
    if not tokens:
        return set(CHARACTERS)
    (kind, value), *rest = tokens
    match kind:
        case told.SUBPATTERN:
            return first([*value[3], *rest])
        case told.BRANCH:
            return set().union(*(first([*each, *rest]) for each in value[1]))
        case told.MAX_REPEAT | told.MIN_REPEAT:
            return first(value[2]) | (set() if value[0] else first(rest))
        case told.LITERAL | told.NOT_LITERAL | told.IN:
            return {each for each in CHARACTERS if is_one(each, kind, value)}
    return set(CHARACTERS)


def is_one(character: str, kind: Any, value: Any) -> bool:
    """Whether a token for one character takes it; letters of either case are one, as most patterns have it."""
    cases = {character, character.lower(), character.upper()}
    match kind:
        case told.LITERAL:
            return chr(value) in cases
        case told.NOT_LITERAL:
            return chr(value) != character
        case told.RANGE:
            return any(len(each) == 1 and value[0] <= ord(each) <= value[1] for each in cases)
        case told.CATEGORY:
            return OF_CLASSES[value](character)
        case told.IN if value[0][0] is told.NEGATE:
            return not any(is_one(character, *each) for each in value[1:])
        case told.IN:
            return any(is_one(character, *each) for each in value)
    raise AssertionError(kind)


def ways(tokens: Tokens, after: Tokens = ()) -> float:
    """Return how many ways there are at most from one place through the tokens, with those that come after."""
    number: float = 1
    for index, (kind, value) in enumerate(tokens):
        behind = [*list(tokens)[index + 1 :], *after]
        match kind:
            case told.SUBPATTERN:
                number *= ways(value[3], behind)
            case told.BRANCH:
                number *= sum(ways(each, behind) for each in value[1])
            case told.MAX_REPEAT | told.MIN_REPEAT:
                number *= ways_of_repeat(*value, behind)
            case _:
                assert kind in {told.LITERAL, told.NOT_LITERAL, told.IN, told.AT, told.ANY}, kind
    return number


def ways_of_repeat(least: int, most: Any, repeated: Tokens, behind: Tokens) -> float:
    if most is told.MAXREPEAT:
        return float("inf")
    inside = ways(repeated, [*repeated, *behind])
    stops = int(most) - least + 1 if first(repeated) & first(behind) else 1
    return float(stops * inside**most)


def patterns(module: ModuleType) -> Iterator[re.Pattern[Any]]:
    yield from (each for each in vars(module).values() if isinstance(each, re.Pattern))
    yield from (each.pattern for each in getattr(module, "CAUSES", ()))


@pytest.mark.parametrize(
    "pattern",
    [each for module in (conditions, crash, engine_log, pod_trouble, referenced) for each in patterns(module)],
)
def test_a_pattern_has_few_ways_from_any_place(pattern: re.Pattern[Any]) -> None:
    assert ways(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)) <= MOST_WAYS


@pytest.mark.parametrize(
    ("pattern", "number"),
    [
        ("abc", 1),
        ("ab|ba", 2),
        ("a{1,9}b", 1),
        ("a{1,9}ab", 9),
        (r"\s{1,9}\s{1,9}x", 9),
        ("(a{1,3}b?){2}", 9),
        (r"\d{1,9}(\.\d{1,3})? ", 1),
        ("a+b", float("inf")),
        (r"cuda\w*( error)?x", float("inf")),
    ],
)
def test_the_ways_are_those_that_a_search_would_go_back_through(pattern: str, number: float) -> None:
    assert ways(parser.parse(pattern)) == number


@pytest.mark.parametrize("module", [crash, engine_log, pod_trouble, referenced])
def test_no_pattern_is_made_where_this_does_not_see_it(module: ModuleType) -> None:
    assert list(patterns(module))
    used = set(re.findall(r"\bre\.(\w+)", inspect.getsource(module)))
    assert used <= {"compile", "Pattern", "Match", "MULTILINE", "IGNORECASE"}
