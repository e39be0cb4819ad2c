"""`llmkube local`: everything on this machine without Kubernetes; started, looked at, stopped, forgotten.

What runs is in local/; here is what a person types and reads. Exit codes are those of cli/errors.py.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from llmkube.cli.errors import CommandError, one_line
from llmkube.cli.options import timeout_option
from llmkube.cli.output import aligned, output_option
from llmkube.local.home import Home
from llmkube.local.process import CannotRunError, is_locked, only_one

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.group()
def local() -> None:
    """Run everything on this machine, without Kubernetes.

    An API server for kubectl and llmkube, the operator, and a node that runs pods as processes. Its state is in
    ~/.llmkube/local, or in $LLMKUBE_HOME/local where that is set: two homes are two separate control planes.
    """


@local.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of the API server; by default the one of the last time."
)
@click.option("--foreground", is_flag=True, help="Stay in this terminal; Ctrl-C stops everything.")
@timeout_option("60s")
def up(*, port: int | None, foreground: bool, timeout: float) -> None:
    """Start local mode in the background, and wait until it is of use.

    Pods that still run from before go on undisturbed. Where it runs already nothing happens.
    """
    home = Home.find(os.environ)
    with told():
        if foreground:
            supervise(home, port)
            return
        if not (is_locked(home.supervisor_lock) and goes_on(home, port, timeout)):
            start(home, port, timeout)
        say_how_to_go_on(home)


@local.command()
@timeout_option("90s")
def down(*, timeout: float) -> None:
    """Stop every pod gracefully, then the control plane.

    Objects and fetched models stay: `llmkube local up` goes on from there.
    """
    with told():
        stop(Home.find(os.environ), timeout)
        click.echo("what was applied and fetched is kept: `llmkube local up` goes on from there")


@local.command()
@output_option("table", "json")
def status(*, output: str) -> None:
    """Show what runs: API server, operator, pods, engine, disk.

    The exit code is 0 when the control plane answers and 1 when it does not.
    """
    from llmkube.cli.local_status import look, shown

    with told():
        found = asyncio.run(look(Home.find(os.environ), os.environ))
        click.echo(shown(found, output), nl=False)
    if not found.running:
        raise click.exceptions.Exit(1)


@local.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@timeout_option("90s")
def reset(*, yes: bool, timeout: float) -> None:
    """Stop everything and forget it: objects, fetched models, logs, credentials."""
    home = Home.find(os.environ)
    if not home.local.exists():
        click.echo(f"nothing to forget: {home.local} is not there")
        return
    if not yes:
        click.confirm(f"Delete every object and every fetched model in {home.local}?", abort=True)
    with told():
        stop(home, timeout)
        with only_one(home.supervisor_lock):
            shutil.rmtree(home.local)
        click.echo(f"deleted {home.local}")


def supervise(home: Home, port: int | None) -> None:
    """Be the supervisor, until a signal."""
    from llmkube.cli.local_bootstrap import bootstrap
    from llmkube.local import supervisor
    from llmkube.runtime import logging

    logging.configure(style="console", level="info")
    asyncio.run(supervisor.run(home, port=port, bootstrap=lambda: bootstrap(home, os.environ)))


def start(home: Home, port: int | None, timeout: float) -> None:
    """Start the supervisor in the background and wait for it; one that was quicker will do as well."""
    from llmkube.cli.connection import quietly
    from llmkube.cli.local_start import spawn, until_up

    quietly()
    process, began = spawn(home, port)
    try:
        asyncio.run(until_up(home, process, began, timeout=timeout))
    except CommandError:
        if process.poll() is None or not (is_locked(home.supervisor_lock) and goes_on(home, port, timeout)):
            raise
    else:
        click.echo("local mode is running")


def goes_on(home: Home, port: int | None, timeout: float) -> bool:
    """Leave what runs as it is, and see that it is of use; whether it still runs then."""
    from llmkube.cli.connection import quietly
    from llmkube.cli.local_start import EndedMeanwhileError, until_useful
    from llmkube.local.access import kept_port

    found = kept_port(home.port)
    if port not in {None, found}:
        raise CommandError(f"local mode already runs on port {found}: stop it with `llmkube local down` to change that")
    quietly()
    try:
        asyncio.run(until_useful(home, timeout=timeout))
    except EndedMeanwhileError:
        return False
    click.echo("local mode is already running")
    return True


def stop(home: Home, timeout: float) -> None:
    """Stop what runs, with a supervisor or without, and say what that was."""
    from llmkube.cli.local_stop import stop_all

    for line in stop_all(home, timeout=timeout):
        click.echo(line)


def say_how_to_go_on(home: Home) -> None:
    """Print where things are, and what to type next."""
    from llmkube.cli.local_status import engine_line

    here = [
        ["", "kubeconfig", str(home.kubeconfig)],
        ["", "engine", engine_line(os.environ)],
        ["", "log", str(home.supervisor_log)],
    ]
    following = [
        ["", "llmkube apply -f FILE --wait", "apply a Model and an InferenceService"],
        ["", "llmkube local status", "see what runs"],
        ["", f"export KUBECONFIG={home.kubeconfig}", "use kubectl"],
        ["", "llmkube local down", "stop everything"],
    ]
    click.echo(f"{aligned(here)}next:\n{aligned(following)}", nl=False)


@contextmanager
def told() -> Iterator[None]:
    """Turn what a person can mend into one line; a bug keeps its traceback."""
    try:
        with one_line():
            yield
    except CannotRunError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{error.filename or 'local mode'}: {error.strerror or error}") from error
    except ModuleNotFoundError as error:
        if error.name not in {"cryptography", "celpy"}:
            raise
        raise CommandError(f"local mode needs {error.name}: install it with pip install 'llmkube[local]'") from error
