"""What goes wrong between a source and the cache, as one line for the person who wrote the source.

SourceError
  retryable      the network, a busy or broken server, a full disk: the same request may work later (exit 75)
  permanent      wrong bytes, wrong address, no permission, policy: the spec or the source must change (exit 65)
"""

from __future__ import annotations

RETRYABLE = frozenset({"HostUnreachable", "ServerError", "TooManyRequests", "NoSpace", "Interrupted", "SourceChanged"})


class SourceError(Exception):
    """`reason` is one CamelCase word for programs; `message` one line: object, expected, found, what to do.

    `retry_after`: seconds that the server asks to wait, where it does.
    """

    def __init__(
        self, reason: str, message: str, *, retryable: bool | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.retryable = reason in RETRYABLE if retryable is None else retryable
