"""`llmkube apply`: documents into the cluster by server-side apply, and, when asked to, the wait until they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from llmkube.cli import documents, output
from llmkube.cli.connection import Target, connected, run
from llmkube.cli.errors import one_line
from llmkube.cli.options import write_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.cli.options import WriteOptions


@click.command(
    epilog="""\b
Examples:
  llmkube apply -f model.yaml --wait --timeout 10m
  llmkube apply -f manifests/ -n team-a --dry-run=server
  cat model.yaml | llmkube apply -f - --dry-run=client -o yaml
"""
)
@click.option("-f", "--filename", "names", multiple=True, required=True, metavar="FILE|DIR|-", help="What to apply.")
@click.option("-R", "--recursive", is_flag=True, help="Descend into directories.")
@write_options(wait=False, timeout="10m")
@connected()
def apply(names: tuple[str, ...], *, recursive: bool, options: WriteOptions, target: Target) -> None:
    """Apply YAML or JSON documents to the cluster.

    Models and InferenceServices are checked in full before anything is sent. Fields are applied server-side, as field
    manager llmkube-cli. With --wait, the progress of each is shown until it is ready (exit code 0), has failed (1),
    or the time is over (4).
    """
    with one_line():
        read = documents.read(names, recursive=recursive)
        documents.check(read)
    if options.dry_run == "client":
        tell_client_dry_run(read, options)
    else:
        run(send(target, read, options))


async def send(target: Target, read: Sequence[documents.Document], options: WriteOptions) -> str:
    """Connect and apply; return the endpoint of the last service that was waited for, if any."""
    from llmkube.cli.applying import apply_all

    async with target.connect() as connection:
        return await apply_all(connection, read, options)


def tell_client_dry_run(read: Sequence[documents.Document], options: WriteOptions) -> None:
    """Print the documents that would be sent; no cluster is asked."""
    if options.form:
        click.echo(output.documents([each.content for each in read], options.form), nl=False)
        return
    for each in read:
        click.echo(f"{output.reference(each.content)} checked (client dry run)")
