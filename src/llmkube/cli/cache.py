"""`llmkube cache`: what the caches of models hold, and what of it may go.

On a directory: `--cache`, or local mode's own caches. `list` looks into a cluster too, and changes nothing there.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from llmkube.cli.cache_clear import clear
from llmkube.cli.cache_options import cached, caches, inventory_of
from llmkube.cli.cache_prefetch import prefetch
from llmkube.cli.cache_verify import verify
from llmkube.cli.connection import Target, connected, run
from llmkube.cli.errors import InputError
from llmkube.cli.output import as_json, output_option

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def cache() -> None:
    """Show and tidy caches of models: directories that `llmkube fetch` fills.

    Without --cache these are local mode's: one for each claim in ~/.llmkube/local/volumes (or $LLMKUBE_HOME).
    """


cache.add_command(clear)
cache.add_command(prefetch)
cache.add_command(verify)


@cache.command(
    name="list",
    epilog="""\b
Examples:
  llmkube cache list
  llmkube cache list --cache /var/cache/models -o json
  llmkube cache list -n team                  the claims of a cluster
""",
)
@cached
@output_option("table", "wide", "json")
@connected(all_namespaces=True)
def list_(directories: tuple[Path, ...], *, output: str, target: Target) -> None:
    """Show what is cached, who uses it, and what is being fetched.

    In a directory: each blob with the models that point to it, pins, and partial files. With -n, -A, --context or
    --kubeconfig: a cluster's claims, the Models in them and the InferenceServices that use those.
    """
    in_cluster = bool(target.namespace or target.all_namespaces or target.context or target.kubeconfig)
    if in_cluster and directories:
        raise InputError("--cache is a directory of this machine, -n a namespace of a cluster: give one of them")
    if in_cluster:
        from llmkube.cli.cache_claims import claims, rendered

        click.echo(rendered(run(claims(target)), output), nl=False)
        return
    from llmkube.cli.cache_report import as_document, as_tables

    found = [(each.root, inventory_of(each)) for each in caches(directories, os.environ)]
    now = time.time()
    text = as_json(as_document(found)) if output == "json" else as_tables(found, now=now, wide=output == "wide")
    click.echo(text, nl=False)
