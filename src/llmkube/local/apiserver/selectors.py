"""Label selectors as they stand in a query string, read and refused as Kubernetes does it.

Pure: text to a predicate. A selector that can't be understood is a BadRequest; it never selects everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from llmkube.local.apiserver.errors import quoted
from llmkube.local.apiserver.labels import wrong_with_key, wrong_with_value
from llmkube.local.objects import Object, bad_request, labels_of

Predicate = Callable[[Object], bool]

TOKEN = re.compile(r"\s*(==|!=|[=!(),><]|[^\s=!(),><]+|$)")
SYMBOLS = frozenset({"==", "!=", "=", "!", "(", ")", ",", ">", "<", ""})
COMPARISONS = frozenset({"=", "==", "!=", ">", "<", "in", "notin"})
LARGEST = 2**63 - 1


class Requirement(NamedTuple):
    """One part of a selector; `operator` is also "exists" or "!"."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: dict[str, str]) -> bool:
        found = labels.get(self.key)
        match self.operator:
            case "exists":
                return found is not None
            case "!":
                return found is None
            case "!=" | "notin":
                return found not in self.values
            case ">" | "<":
                return found is not None and self._ordered(found)
        return found in self.values

    def _ordered(self, found: str) -> bool:
        if not _is_whole(found):
            return False
        (limit,) = self.values
        return int(found) > int(limit) if self.operator == ">" else int(found) < int(limit)


def label_predicate(selector: str) -> Predicate:
    wanted = requirements(selector)
    return lambda obj: all(one.holds(labels_of(obj)) for one in wanted)


def requirements(selector: str) -> list[Requirement]:
    try:
        return list(_Parser(selector).all())
    except _NotUnderstoodError as error:
        raise bad_request(str(error)) from None


class _NotUnderstoodError(Exception):
    """What is wrong with a selector."""


class _Parser:
    """Reads a selector from left to right; "" is its end."""

    def __init__(self, selector: str) -> None:
        self._tokens = TOKEN.findall(selector)
        self._at = 0

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        found = self._next()
        self._at += 1
        return found

    def all(self) -> Iterable[Requirement]:
        while self._next():
            if self._next() in SYMBOLS - {"!"}:
                raise _NotUnderstoodError(f"found '{self._next()}', expected: !, identifier, or 'end of string'")
            yield self._requirement()
            self._end_or_comma()

    def _end_or_comma(self) -> None:
        if (found := self._take()) not in {"", ","}:
            raise _NotUnderstoodError(f"found '{found}', expected: ',' or 'end of string'")
        if found and self._next() in SYMBOLS - {"!"}:
            raise _NotUnderstoodError(f"found '{self._next()}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        try:
            return _checked(self._read())
        except _NotUnderstoodError as error:
            raise _NotUnderstoodError(f"unable to parse requirement: {error}") from None

    def _read(self) -> Requirement:
        is_absent = self._next() == "!"
        key = self._key()
        if is_absent:
            return Requirement(key, "!")
        if self._next() in {"", ","}:
            return Requirement(key, "exists")
        operator = self._take()
        if operator not in COMPARISONS:
            raise _NotUnderstoodError(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
        values = self._set() if operator in {"in", "notin"} else {self._one()}
        return Requirement(key, operator, frozenset(values))

    def _key(self) -> str:
        if self._next() == "!":
            self._take()
        if (key := self._take()) in SYMBOLS:
            raise _NotUnderstoodError(f"found '{key}', expected: identifier")
        if wrong := wrong_with_key(key):
            raise _NotUnderstoodError(f"<nil>: Invalid value: {quoted(key)}: {'; '.join(wrong)}")
        return key

    def _one(self) -> str:
        if self._next() in {"", ","}:
            return ""
        if (found := self._take()) in SYMBOLS:
            raise _NotUnderstoodError(f"found '{found}', expected: identifier")
        return found

    def _set(self) -> set[str]:
        if (found := self._take()) != "(":
            raise _NotUnderstoodError(f"found '{found}' expected: '('")
        if self._next() in SYMBOLS - {",", ")"}:
            raise _NotUnderstoodError(f"found '{self._next()}', expected: ',', ')' or identifier")
        values = {self._listed()}
        while (found := self._take()) == ",":
            if self._next() in SYMBOLS - {",", ")"}:
                raise _NotUnderstoodError(f"found '{self._next()}', expected: ',', or identifier")
            values.add(self._listed())
        if found != ")":
            raise _NotUnderstoodError(f"found '{found}', expected: ',' or ')'")
        return values

    def _listed(self) -> str:
        """A value of a set; one that is left out is the empty one."""
        return "" if self._next() in {",", ")"} else self._take()


def _checked(requirement: Requirement) -> Requirement:
    values = sorted(requirement.values)
    wrong = []
    if requirement.operator in {">", "<"} and not _is_whole(values[0]):
        says = "for 'Gt', 'Lt' operators, the value must be an integer"
        wrong.append(f"values[0]: Invalid value: {quoted(values[0])}: {says}")
    for index, value in enumerate(values):
        if found := wrong_with_value(value):
            wrong.append(f"values[{index}][{requirement.key}]: Invalid value: {quoted(value)}: {'; '.join(found)}")
    if wrong:
        raise _NotUnderstoodError(wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]")
    return requirement


def _is_whole(text: str) -> bool:
    """A number as a label can hold it."""
    found = re.fullmatch(r"[+-]?[0-9]{1,40}", text, re.ASCII)
    return found is not None and -LARGEST - 1 <= int(text) <= LARGEST
