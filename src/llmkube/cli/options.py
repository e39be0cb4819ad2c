"""The options of commands that write and wait: dry runs, conflicts, and times as kubectl writes them (`120s`, `5m`)."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from collections.abc import Callable

DryRun = Literal["none", "client", "server"]
_SHAPE = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?$")
LONGEST = 7 * 24 * 3600.0


def duration(value: str) -> float:
    """Return the seconds of a positive time of at most a week; a bare number is seconds."""
    match = _SHAPE.match(value)
    hours, minutes, seconds = match.groups() if match else (None, None, None)
    total = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)
    if not 0 < total <= LONGEST:
        raise click.BadParameter(f"expected a time such as 90s, 5m or 1h30m, of at most a week, found {value!r}")
    return total


def timeout_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add `--timeout`; the command gets seconds."""
    return click.option(
        "--timeout", type=duration, default=default, show_default=True, help="How long to wait: 90s, 5m, 1h30m."
    )


@dataclass(frozen=True)
class WriteOptions:
    """How to apply, how to tell of it, and whether to wait."""

    dry_run: DryRun = "none"
    force: bool = False
    form: str = ""
    wait: bool = False
    timeout: float = 600.0


def write_options(*, wait: bool, timeout: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of a command that applies documents; it gets them as `options`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(
            *args: Any,
            dry_run: DryRun,
            force_conflicts: bool,
            output: str | None,
            wait: bool,
            timeout: float,
            **rest: Any,
        ) -> Any:
            return function(*args, options=WriteOptions(dry_run, force_conflicts, output or "", wait, timeout), **rest)

        decorated: Callable[..., Any] = command
        waiting = click.option(
            "--wait/--no-wait", default=wait, show_default=True, help="Wait until ready, with progress."
        )
        for option in (_FORCE, _OUTPUT, _DRY_RUN, timeout_option(timeout), waiting):
            decorated = option(decorated)
        return decorated

    return decorate


_FORCE = click.option("--force-conflicts", is_flag=True, help="Take over fields that another manager owns.")
_OUTPUT = click.option("-o", "--output", type=click.Choice(["json", "yaml", "name"]), help="Print the objects instead.")
_DRY_RUN = click.option(
    "--dry-run",
    type=click.Choice(["none", "client", "server"]),
    default="none",
    help="client: check and print, send nothing. server: let the API server check, keep nothing.",
)
