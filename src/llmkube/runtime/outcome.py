"""What one reconcile can come to.

    reconcile returns Result()                   done; again only when something changes
                      Result(requeue_after=s)    done for now; again in s seconds at the latest
                      Result(requeue=True)       not done, nothing wrong: again with back-off (a cache behind our write)
              raises  TerminalError, a 422       wrong until somebody changes the object: never retried
                      a 422 of a policy          not the object's fault alone: retried with back-off, like a quota's 403
              raises  an error of EXPECTED       what a cluster does to anybody: retried with back-off, one log line
                      anything else              a bug: retried with back-off, a traceback in the log
              takes   longer than its time       cancelled, retried with back-off

`attempt` turns each of these into a value. It must let nothing escape but the cancellation of the worker itself.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.kube.errors import ApiError, Forbidden, Invalid, KubeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EXPECTED = (KubeError, OSError, TimeoutError)

_DENIED = re.compile(
    r"admission webhook \"[^\"]*\" denied the request"
    r"|ValidatingAdmissionPolicy '[^']*'( with binding '[^']*')? denied request"
)
"""How Kubernetes words them: apiserver/pkg/admission/plugin/{webhook/errors,policy/validating}."""


@dataclass(frozen=True)
class Result:
    """`requeue_after` in seconds; `requeue` wins over it."""

    requeue_after: float | None = None
    requeue: bool = False


class TerminalError(Exception):
    """Trying again would end the same: the message is one line with the object, expected, found, and what to do."""


@dataclass(frozen=True)
class Terminal:
    """Not to be retried."""

    error: Exception


@dataclass(frozen=True)
class Failed:
    """To be retried, but not before the API server wants to be asked again (Retry-After, in seconds)."""

    error: Exception

    @property
    def not_before(self) -> float:
        return (self.error.retry_after or 0.0) if isinstance(self.error, ApiError) else 0.0


@dataclass(frozen=True)
class Panicked:
    """To be retried, and to be mended by whoever reads the traceback."""

    error: BaseException


@dataclass(frozen=True)
class TimedOut:
    """Cancelled after so many seconds; to be retried."""

    seconds: float


Outcome = Result | Terminal | Failed | Panicked | TimedOut


async def attempt(reconcile: Callable[[], Awaitable[Result]], *, timeout: float) -> Outcome:
    """Reconciles once, within `timeout` seconds."""
    bound = asyncio.timeout(timeout)
    try:
        async with bound:
            return await reconcile()
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        return Panicked(error)  # something that it awaited was cancelled: no reason for the worker to go
    except Exception as error:  # noqa: BLE001 - this is the isolation: every failure becomes a value
        return TimedOut(timeout) if bound.expired() else classify(error)


def classify(error: Exception) -> Outcome:
    """Which failure an error is; of a group, the one that trying again may heal decides."""
    match error:
        case ApiError() if is_denied(error):
            return Failed(error)
        case TerminalError() | Invalid():
            return Terminal(error)
        case Forbidden(is_terminating=True):
            return Result()  # its namespace goes away, and it with it
        case ExceptionGroup():
            parts = [classify(each) for each in error.exceptions]
            return min(parts, key=lambda part: (Panicked, Failed, Terminal, Result).index(type(part)))
    return Failed(error) if isinstance(error, EXPECTED) else Panicked(error)


def is_denied(error: ApiError) -> bool:
    """Whether a policy of the cluster refused, with any code: 422 or 400 where a policy or a webhook names none."""
    return _DENIED.search(error.message) is not None


def is_being_cancelled() -> bool:
    """Whether somebody wants this very task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def one_line(error: BaseException) -> str:
    """The message, or the type's name where there is none."""
    return " ".join(str(error).split()) or type(error).__name__
