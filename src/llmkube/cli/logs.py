"""`llmkube logs`: what the engine of a service wrote, or the fetch of a Model; of one pod, or of all with prefixes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import click

from llmkube.cli import pods
from llmkube.cli.completion import completed
from llmkube.cli.connection import Connection, Target, connected, run
from llmkube.cli.errors import MissingError, one_line
from llmkube.cli.options import duration
from llmkube.cli.wait import named

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Wish:
    """Which part of which logs."""

    follow: bool
    previous: bool
    init: bool
    since: float | None
    tail: int | None
    all_pods: bool


class Origin(NamedTuple):
    """One container's log."""

    pod: str
    container: str


@click.command(
    epilog="""\b
Examples:
  llmkube logs smollm2 -f
  llmkube logs smollm2 --previous            why it was restarted
  llmkube logs model/smollm2                 how the fetch went
  llmkube logs smollm2 --all-pods --since 5m --tail 100
"""
)
@click.argument("name", shell_complete=completed("inferenceservices"))
@click.option("-f", "--follow", is_flag=True, help="Go on printing as lines are written.")
@click.option("-p", "--previous", is_flag=True, help="The log of the container before its last restart.")
@click.option("--init", is_flag=True, help="The logs of the init containers (the fetch of an ephemeral cache).")
@click.option("--since", type=duration, help="Only lines younger than this: 90s, 5m, 1h.")
@click.option("--tail", type=click.IntRange(min=0), help="Only so many last lines.")
@click.option("--all-pods", is_flag=True, help="All pods, each line with its pod's name before it.")
@connected()
def logs(name: str, *, target: Target, **wish: bool | float | int | None) -> None:
    """Print the logs of a service's pods.

    NAME is an InferenceService; write model/NAME for the log of a Model's fetch.
    """
    with one_line():
        kind, plain = named(name)
    run(_logs(target, kind, plain, Wish(**wish)))  # type: ignore[arg-type]


async def _logs(target: Target, kind: str, name: str, wish: Wish) -> None:
    async with target.connect() as connection:
        origins = await _origins(connection, kind, name, wish=wish)
        prefixed = wish.all_pods or len({each.container for each in origins}) > 1
        if not wish.follow:
            for origin in origins:
                await _print(connection, origin, wish, prefixed=prefixed)
            return
        async with asyncio.TaskGroup() as group:
            for origin in origins:
                group.create_task(_print(connection, origin, wish, prefixed=prefixed))


async def _origins(connection: Connection, kind: str, name: str, *, wish: Wish) -> Sequence[Origin]:
    """Return the logs that are meant; say so when there are more pods than one."""
    found = await pods.pods_of(connection, kind, name)
    if not found:
        raise MissingError(await _why_no_pods(connection, kind, name))
    if len(found) > 1 and not wish.all_pods:
        click.echo(f"{len(found)} pods; this is {found[0]['metadata']['name']} (--all-pods for all)", err=True)
    chosen = found if wish.all_pods else found[:1]
    origins = [Origin(pod["metadata"]["name"], each) for pod in chosen for each in pods.containers(pod, init=wish.init)]
    if not origins:
        raise MissingError(f"{kind.lower()}/{name}: its pods have no init containers; leave out --init")
    return origins


async def _why_no_pods(connection: Connection, kind: str, name: str) -> str:
    from llmkube.cli.follow import KINDS
    from llmkube.cli.view import said, view_of
    from llmkube.kube.kinds import Key

    view = view_of(await connection.client.get(KINDS[kind], Key(connection.namespace, name)), kind=kind)
    hint = f"; see `llmkube logs model/{view.spec.model_ref}`" if view.phase == "WaitingForModel" else ""
    return f"{view.reference} has no pods now; it is {said(view)}{hint}"


async def _print(connection: Connection, origin: Origin, wish: Wish, *, prefixed: bool) -> None:
    from llmkube.kube.kinds import Key

    prefix = f"[{origin.pod} {origin.container}] ".encode() if prefixed else b""
    streamed = connection.client.stream_logs(
        Key(connection.namespace, origin.pod),
        container=origin.container,
        tail=wish.tail,
        previous=wish.previous,
        since_seconds=None if wish.since is None else max(1, round(wish.since)),
        follow=wish.follow,
    )
    async with streamed as lines:
        async for line in lines:
            click.echo(prefix + line)
