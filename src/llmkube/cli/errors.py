"""The one line that a command ends with when it did not work, and the exit code that scripts tell it by.

    0 done · 1 failed · 2 usage · 3 not found · 4 timed out · 130 interrupted

Every command runs inside `one_line`; a traceback is always a bug of ours.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from llmkube.kube.errors import ApiError, Forbidden, KubeError, NotFound, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED, USAGE, NOT_FOUND, TIMED_OUT, INTERRUPTED = 1, 2, 3, 4, 130
_NO_SUCH_PATH = "the API server does not know this kind; install it with `llmkube crds | llmkube apply -f -`"


class CommandError(click.ClickException):
    """A command that did not do what it was asked to; the message is what a person reads, a line per problem."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message as kubectl would, without click's banner."""
        click.echo(f"error: {self.format_message()}", file=file or sys.stderr)


class InputError(CommandError):
    """What was typed, or what a file holds, cannot be sent."""

    exit_code = USAGE


class MissingError(CommandError):
    """The object that was named does not exist."""

    exit_code = NOT_FOUND


class TimedOutError(CommandError):
    """What was waited for did not happen in time."""

    exit_code = TIMED_OUT


@contextmanager
def one_line() -> Iterator[None]:
    """Turn failures of requests into one line each; let everything that is a bug through."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except KubeError as error:
        raise explained(error) from error
    except BaseExceptionGroup as group:
        first = _first(group)
        if isinstance(first, KubeError):
            raise explained(first) from group
        if isinstance(first, click.ClickException | OSError):  # a closed pipe is click's to end
            raise first from group
        raise


def explained(error: KubeError) -> CommandError:
    """Return the line for a request that failed, with the exit code that it means."""
    match error:
        case NotFound() if not error.reason:
            return CommandError(_NO_SUCH_PATH)
        case NotFound():
            return MissingError(error.message)
        case Unauthorized():
            return CommandError(f"the API server does not accept these credentials: {error.message}; log in again")
        case Forbidden():
            return CommandError(f"not allowed: {error.message}; ask for a role that may")
        case ApiError():
            return CommandError(error.message)
    return CommandError(str(error))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first failure of a task group, whose tasks fail together when one does."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
