"""What can go wrong with a request, as one tree.

KubeError
├── TransportError          no answer: refused, reset, timed out, not JSON, not what was asked for, a redirect
├── FencedError             not sent: this process may not be the leader any more
└── ApiError                an answer that is not a success (status, reason, message of the Status object)
    ├── Unauthorized 401    ├── Forbidden 403     ├── NotFound 404
    ├── Conflict 409        │   └── AlreadyExists
    ├── Gone 410            ├── Invalid 422       ├── TooManyRequests 429
    │   └── VersionTooLarge └── ServerError 5xx
"""

from __future__ import annotations

from typing import Any

import msgspec


class KubeError(Exception):
    """Any failure of a request to the API server."""


class TransportError(KubeError):
    """The API server did not answer; the message says what was tried."""


class FencedError(KubeError):
    """A write that was not sent, because the lease that allowed it may have run out."""


class ApiError(KubeError):
    """The API server answered, and it was not a success."""

    def __init__(self, status: int, reason: str, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after: float | None = None


class Unauthorized(ApiError):  # noqa: N818 - these are the reasons' own names
    """401."""


class Forbidden(ApiError):  # noqa: N818
    """403."""

    @property
    def is_terminating(self) -> bool:
        """Whether nothing more can be made in the namespace because it is going away."""
        return _has_cause(self.details, "NamespaceTerminating")


class NotFound(ApiError):  # noqa: N818
    """404."""


class Conflict(ApiError):  # noqa: N818
    """409."""


class AlreadyExists(Conflict):
    """409 with reason AlreadyExists."""


class Gone(ApiError):  # noqa: N818
    """410: the resourceVersion is too old."""


class VersionTooLarge(Gone):
    """504 with this cause: the server has not got as far as the resourceVersion that was asked for.

    After a restore of etcd it never does, so that the version is worth no more than one that has expired.
    """


class Invalid(ApiError):  # noqa: N818
    """422: no retry can mend it."""


class TooManyRequests(ApiError):  # noqa: N818
    """429."""


class ServerError(ApiError):
    """5xx."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises at the JSON of a stranger."""


class _Status(msgspec.Struct):
    reason: str = ""
    message: str = ""
    details: Any = None


def from_response(status: int, body: bytes) -> ApiError:
    """Return the error of an answer; its body may be a Status object or anything a proxy invents.

    The status decides, whatever code the body tells: that of a gateway can be one of its own (gRPC's 16 is a 401).
    """
    try:
        said = msgspec.json.decode(body, type=_Status)
    except UNREADABLE:
        text = body[:200].decode(errors="replace").strip()
        said = _Status(message=f"HTTP {status}: {text or 'empty answer'}")
    return of_status(status, said.reason, said.message, said.details)


def of_status(code: int, reason: str, message: str, details: Any = None) -> ApiError:
    """Return the error of a Status object."""
    kind = _BY_STATUS.get(code, ServerError if code >= 500 else ApiError)
    if reason == "AlreadyExists":
        kind = AlreadyExists
    if _has_cause(details, "ResourceVersionTooLarge"):
        kind = VersionTooLarge
    return kind(code, reason, message or f"HTTP {code}", details)


def _has_cause(details: Any, cause: str) -> bool:
    causes = details.get("causes") if isinstance(details, dict) else None
    causes = causes if isinstance(causes, list) else []
    return any(isinstance(each, dict) and each.get("reason") == cause for each in causes)
