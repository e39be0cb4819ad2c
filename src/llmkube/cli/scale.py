"""`llmkube scale`: the number of a service's pods, through the scale subresource; 0 stops it."""

from __future__ import annotations

import click

from llmkube.cli.completion import completed
from llmkube.cli.connection import Target, connected, run
from llmkube.cli.errors import InputError, one_line
from llmkube.cli.options import timeout_option
from llmkube.cli.wait import named


@click.command(
    epilog="""\b
Examples:
  llmkube scale smollm2 --replicas 3 --wait
  llmkube scale smollm2 --replicas 0          stops it and keeps the model
"""
)
@click.argument("name", shell_complete=completed("inferenceservices"))
@click.option("--replicas", type=click.IntRange(0, 1000), required=True, metavar="N", help="Number of pods.")
@click.option("--wait/--no-wait", default=False, show_default=True, help="Wait until they are ready.")
@timeout_option("10m")
@connected()
def scale(name: str, *, replicas: int, wait: bool, timeout: float, target: Target) -> None:
    """Set the number of replicas of a service."""
    with one_line():
        kind, plain = named(name)
        if kind != "InferenceService":
            raise InputError(f"{name}: expected an InferenceService; a Model has no replicas")
    run(_scale(target, plain, replicas, patience=timeout if wait else None))


async def _scale(target: Target, name: str, replicas: int, *, patience: float | None) -> None:
    from llmkube.cli.follow import Followed, until_ready
    from llmkube.cli.progress import display
    from llmkube.kube.kinds import INFERENCE_SERVICE, Key
    from llmkube.kube.transport import MERGE_PATCH

    async with target.connect() as connection:
        path = INFERENCE_SERVICE.path(connection.namespace, name, "scale")
        before = await connection.client.raw("GET", path)
        await connection.client.raw("PATCH", path, {"spec": {"replicas": replicas}}, content_type=MERGE_PATCH)
        was = (before.get("spec") or {}).get("replicas", 1)
        click.echo(f"inferenceservice/{name} scaled from {was} to {replicas}")
        if patience is not None:
            wanted = [Followed("InferenceService", Key(connection.namespace, name))]
            await until_ready(connection.client, wanted, timeout=patience, display=display())
