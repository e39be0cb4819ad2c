"""What may be a label's key and value, worded as Kubernetes words it. Pure."""

from __future__ import annotations

import re

NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
MAX_NAME = 63
MAX_PREFIX = 253

_CHARACTERS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_NAMES = f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{NAME.pattern}')"
_NOT_A_NAME = f"{_CHARACTERS} {_NAMES}"
_NOT_A_KEY = (
    f"a valid label key {_NOT_A_NAME} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
_NOT_A_PREFIX = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN.pattern}')"
)
_NOT_A_VALUE = (
    f"a valid label must be an empty string or {_CHARACTERS.removeprefix('must ')} "
    f"(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '({NAME.pattern})?')"
)


def wrong_with_key(key: str) -> list[str]:
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return [_NOT_A_KEY]
    return [*(_wrong_with_prefix(prefix) if slash else ()), *_wrong_with_name(name)]


def _wrong_with_prefix(prefix: str) -> list[str]:
    if not prefix:
        return ["prefix part must be non-empty"]
    too_long = [f"must be no more than {MAX_PREFIX} bytes"] if len(prefix.encode()) > MAX_PREFIX else []
    bad = [] if SUBDOMAIN.fullmatch(prefix) else [_NOT_A_PREFIX]
    return [f"prefix part {one}" for one in (*too_long, *bad)]


def _wrong_with_name(name: str) -> list[str]:
    empty = [] if name else ["must be non-empty"]
    too_long = [f"must be no more than {MAX_NAME} bytes"] if len(name.encode()) > MAX_NAME else []
    bad = [] if NAME.fullmatch(name) else [_NOT_A_NAME]
    return [f"name part {one}" for one in (*empty, *too_long, *bad)]


def wrong_with_value(value: str) -> list[str]:
    too_long = [f"must be no more than {MAX_NAME} bytes"] if len(value.encode()) > MAX_NAME else []
    return [*too_long, *([] if not value or NAME.fullmatch(value) else [_NOT_A_VALUE])]
