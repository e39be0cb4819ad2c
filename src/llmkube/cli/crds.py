"""`llmkube crds`: prints the CustomResourceDefinitions, for `kubectl apply --server-side -f -`."""

from __future__ import annotations

import click

from llmkube.api.crd import as_yaml
from llmkube.api.crd import crds as definitions


@click.command()
def crds() -> None:
    """Print the CustomResourceDefinitions as YAML.

    Install them with: llmkube crds | kubectl apply --server-side -f -
    """
    click.echo("---\n".join(as_yaml(definition) for definition in definitions()), nl=False)
