"""`llmkube wait`: the wait of `apply --wait`, for objects that are there already."""

from __future__ import annotations

import click

from llmkube.cli.completion import completed
from llmkube.cli.connection import Target, connected, run
from llmkube.cli.errors import InputError, one_line
from llmkube.cli.options import timeout_option

KINDS = {
    "inferenceservice": "InferenceService",
    "inferenceservices": "InferenceService",
    "isvc": "InferenceService",
    "service": "InferenceService",
    "services": "InferenceService",
    "model": "Model",
    "models": "Model",
    "mdl": "Model",
}


@click.command(
    epilog="""\b
Examples:
  llmkube wait smollm2
  llmkube wait model/smollm2 service/chat --timeout 30m
"""
)
@click.argument("names", nargs=-1, required=True, shell_complete=completed("inferenceservices"))
@timeout_option("10m")
@connected()
def wait(names: tuple[str, ...], *, timeout: float, target: Target) -> None:
    """Wait until models and services are ready, showing progress.

    A bare NAME is an InferenceService; write model/NAME for a Model. Exit code 0: ready, 1: failed, 3: not there,
    4: out of time.
    """
    with one_line():
        wanted = [named(each) for each in names]
    run(_wait(target, wanted, timeout))


def named(text: str) -> tuple[str, str]:
    """Return the kind and the name of `model/NAME`, `service/NAME` or a bare service's NAME."""
    kind, slash, name = text.rpartition("/")
    if not slash:
        return "InferenceService", name
    if kind.partition(".")[0].lower() not in KINDS or not name:
        raise InputError(f"{text}: expected NAME, service/NAME or model/NAME")
    return KINDS[kind.partition(".")[0].lower()], name


async def _wait(target: Target, wanted: list[tuple[str, str]], timeout: float) -> None:
    from llmkube.cli.follow import Followed, until_ready
    from llmkube.cli.progress import display
    from llmkube.kube.kinds import Key

    async with target.connect() as connection:
        followed = [Followed(kind, Key(connection.namespace, name)) for kind, name in wanted]
        await until_ready(connection.client, followed, timeout=timeout, display=display())
