"""What a list or a watch is asked with (meta.k8s.io/v1 ListOptions): read and checked as Kubernetes does it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.local.apiserver import errors
from llmkube.local.apiserver.errors import Cause
from llmkube.local.objects import StatusError, bad_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LARGEST = 2**63 - 1
LARGEST_REVISION = 2**64 - 1
NOT_OLDER, EXACT = "NotOlderThan", "Exact"


@dataclass(frozen=True)
class ListOptions:
    """As asked. `initial` is sendInitialEvents, None where nothing is said of it."""

    watch: bool
    version: str
    match: str
    limit: int
    token: str
    initial: bool | None
    bookmarks: bool
    seconds: int


def flag(parameters: Mapping[str, str], name: str) -> bool:
    """Whatever is given and is not false is true, as in Kubernetes."""
    return name in parameters and parameters[name].lower() not in {"false", "0"}


def options(parameters: Mapping[str, str]) -> ListOptions:
    found = _read(parameters)
    if causes := list(_watch_problems(found) if found.watch else _list_problems(found)):
        raise errors.invalid("ListOptions", "meta.k8s.io", "", causes)
    return found


def _read(parameters: Mapping[str, str]) -> ListOptions:
    initial = flag(parameters, "sendInitialEvents") if "sendInitialEvents" in parameters else None
    watch, version = flag(parameters, "watch"), parameters.get("resourceVersion", "")
    match = parameters.get("resourceVersionMatch", "")
    if watch and initial is None and not version and not match:
        initial, match = True, NOT_OLDER  # a watch from nowhere begins with what there is
    return ListOptions(
        watch=watch,
        version=version,
        match=match,
        limit=max(0, _whole(parameters, "limit")),
        token=parameters.get("continue", ""),
        initial=initial,
        bookmarks=flag(parameters, "allowWatchBookmarks"),
        seconds=max(0, _whole(parameters, "timeoutSeconds")),
    )


def _whole(parameters: Mapping[str, str], name: str) -> int:
    text = parameters.get(name, "0")
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        raise bad_request(f"strconv.ParseInt: parsing {errors.quoted(text)}: invalid syntax")
    if len(text) > len(str(LARGEST)) + 1 or not -LARGEST - 1 <= int(text) <= LARGEST:
        raise bad_request(f"strconv.ParseInt: parsing {errors.quoted(text)}: value out of range")
    return int(text)


def _list_problems(found: ListOptions) -> Iterator[Cause]:
    if found.match:
        if not found.version:
            yield _forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided")
        if found.token:
            yield _forbidden("resourceVersionMatch is forbidden when continue is provided")
        if found.match not in {EXACT, NOT_OLDER}:
            yield _unsupported(found.match, EXACT, NOT_OLDER, "")
        if found.match == EXACT and found.version == "0":
            yield _forbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if found.initial is not None:
        yield _forbidden("sendInitialEvents is forbidden for list", field="sendInitialEvents")


def _watch_problems(found: ListOptions) -> Iterator[Cause]:
    if found.initial is not None and found.match != NOT_OLDER:
        yield _forbidden(f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER}")
    if found.initial is None and found.match:
        yield _forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
    if found.match:
        if found.match != NOT_OLDER:
            yield _unsupported(found.match, NOT_OLDER)
        if found.token:
            yield _forbidden("resourceVersionMatch is forbidden when continue is provided")


def _forbidden(why: str, *, field: str = "resourceVersionMatch") -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {why}")


def _unsupported(found: str, *supported: str) -> Cause:
    wanted = ", ".join(f'"{one}"' for one in supported)
    message = f"Unsupported value: {errors.quoted(found)}: supported values: {wanted}"
    return Cause("FieldValueNotSupported", "resourceVersionMatch", message)


def revision(asked: ListOptions) -> int:
    """The resourceVersion as a number, 0 where none is given; how a bad one is refused depends on who asks."""
    if not asked.version:
        return 0
    if re.fullmatch(r"[0-9]{1,20}", asked.version, re.ASCII) and int(asked.version) <= LARGEST_REVISION:
        return int(asked.version)
    wrong = "value out of range" if asked.version.isascii() and asked.version.isdigit() else "invalid syntax"
    text = errors.quoted(asked.version)
    message = f"resourceVersion: Invalid value: {text}: strconv.ParseUint: parsing {text}: {wrong}"
    raise StatusError(500, "", message) if asked.watch else bad_request(f"invalid resource version: {message}")
