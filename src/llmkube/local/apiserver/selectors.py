"""Label and field selectors as they stand in a query string.

Pure: text to a predicate. A selector that can't be understood is a BadRequest; it never selects everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from llmkube.local.objects import Object, bad_request, labels_of

Predicate = Callable[[Object], bool]
Requirement = Callable[[dict[str, str]], bool]

SET_BASED = re.compile(r"^(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)$")
EQUALITY = re.compile(r"^(?P<key>[^\s!=<>]+)\s*(?P<operator>==|=|!=|>|<)\s*(?P<value>[^\s!=]*)$")
KEY = re.compile(r"^!?\s*(?:[a-zA-Z0-9.-]+/)?[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?$")
COMMA = re.compile(r",(?![^()]*\))")


def label_predicate(selector: str) -> Predicate:
    requirements = [_requirement(part.strip()) for part in COMMA.split(selector) if part.strip()]
    return lambda obj: all(one(labels_of(obj)) for one in requirements)


def _requirement(text: str) -> Requirement:
    if found := SET_BASED.match(text):
        return _set_based(found["key"], found["operator"], {one.strip() for one in found["values"].split(",")})
    if found := EQUALITY.match(text):
        return _equality(found["key"], found["operator"], found["value"])
    if not KEY.match(text):
        raise bad_request(f"unable to parse requirement: {text!r}")
    if text.startswith("!"):
        return lambda labels: text[1:].strip() not in labels
    return lambda labels: text in labels


def _set_based(key: str, operator: str, values: set[str]) -> Requirement:
    if operator == "in":
        return lambda labels: key in labels and labels[key] in values
    return lambda labels: labels.get(key) not in values


def _equality(key: str, operator: str, value: str) -> Requirement:
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    if operator in {">", "<"}:
        return lambda labels: _ordered(labels.get(key), operator, value)
    return lambda labels: labels.get(key) == value


def _ordered(found: str | None, operator: str, value: str) -> bool:
    try:
        return found is not None and (int(found) > int(value) if operator == ">" else int(found) < int(value))
    except ValueError:
        return False


def field_predicate(selector: str) -> Predicate:
    requirements = [_field(part.strip()) for part in selector.split(",") if part.strip()]
    return lambda obj: all(one(obj) for one in requirements)


def _field(text: str) -> Predicate:
    found = EQUALITY.match(text)
    if found is None or found["operator"] in {">", "<"}:
        raise bad_request(f"invalid selector: {text!r}; can't understand it")
    path, value, wanted = found["key"].split("."), found["value"], found["operator"] != "!="
    return lambda obj: (_value(obj, path) == value) is wanted


def _value(obj: Any, path: list[str]) -> str:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    if isinstance(obj, bool):
        return "true" if obj else "false"
    return "" if obj is None else str(obj)
