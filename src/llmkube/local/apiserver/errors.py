"""The errors of the API, worded as kube-apiserver words them, and the Status object that carries one over HTTP.

It never logs and never decides: callers raise what these functions make.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from llmkube.local.objects import Object, StatusError, bad_request

__all__ = ["Cause", "StatusError", "bad_request", "status_object"]

PAGE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
PLAIN_REASONS = {
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    413: ("RequestEntityTooLarge", "Request entity too large: limit is 3145728"),
    415: ("UnsupportedMediaType", "the body of the request was in an unknown format"),
    501: ("NotImplemented", "this is not served by the embedded API server"),
}


class Cause(NamedTuple):
    """One field that is wrong: FieldValueInvalid and so on, its path, what is wrong with it."""

    reason: str
    field: str
    message: str

    def as_object(self) -> Object:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class PageExpiredError(StatusError):
    """The state that a list is continued in is forgotten; `token` continues it in the latest."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", PAGE_EXPIRED)
        self.token = token


def status_object(error: StatusError) -> Object:
    status: Object = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {"continue": error.token} if isinstance(error, PageExpiredError) else {},
        "status": "Failure",
        "message": error.message,
        **({"reason": error.reason} if error.reason else {}),
        "code": error.code,
    }
    return {**status, "details": error.details} if error.details else status


def plain(code: int) -> StatusError:
    """An error about the request itself, not about an object."""
    reason, message = PLAIN_REASONS[code]
    return StatusError(code, reason, message)


def qualified(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> StatusError:
    return StatusError(
        404, "NotFound", f'{qualified(plural, group)} "{name}" not found', _details(name=name, group=group, kind=plural)
    )


def already_exists(plural: str, group: str, name: str, *, is_going: bool = False) -> StatusError:
    going = "object is being deleted: " if is_going else ""
    message = f'{going}{qualified(plural, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(name=name, group=group, kind=plural))


def conflict(plural: str, group: str, name: str, why: str) -> StatusError:
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(name=name, group=group, kind=plural))


def forbidden(plural: str, group: str, name: str, why: str) -> StatusError:
    message = f'{qualified(plural, group)} "{name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", message, _details(name=name, group=group, kind=plural))


def terminating(plural: str, group: str, name: str, namespace: str) -> StatusError:
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    error = forbidden(plural, group, name, why)
    cause = Cause("NamespaceTerminating", "metadata.namespace", f"namespace {namespace} is being terminated")
    return StatusError(
        error.code, error.reason, error.message, {**(error.details or {}), "causes": [cause.as_object()]}
    )


def gone(oldest: int, asked: int) -> StatusError:
    return StatusError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def too_large(asked: int, current: int) -> StatusError:
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return StatusError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def invalid(kind: str, group: str, name: str, causes: list[Cause]) -> StatusError:
    shown = [f"{cause.field}: {cause.message}" for cause in causes]
    told = shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"
    message = f'{qualified(kind, group)} "{name}" is invalid: {told}'
    details = _details(name=name, group=group, kind=kind)
    return StatusError(422, "Invalid", message, {**details, "causes": [cause.as_object() for cause in causes]})


def _details(**values: str) -> Object:
    return {name: value for name, value in values.items() if value}
