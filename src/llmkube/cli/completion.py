"""`llmkube completion`: the script that teaches a shell the commands, and the names that it asks the cluster for.

Completion runs while a person waits at a prompt: it takes two seconds at most, and says nothing when it fails.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import get_completion_class

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATIENCE = 2.0


@click.command(epilog="Example: source <(llmkube completion bash)")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: echo 'source <(llmkube completion bash)' >> ~/.bashrc
    zsh:  echo 'source <(llmkube completion zsh)' >> ~/.zshrc
    fish: llmkube completion fish > ~/.config/fish/completions/llmkube.fish
    """
    from llmkube.cli.main import main

    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(main, {}, "llmkube", "_LLMKUBE_COMPLETE").source())


def completed(*plurals: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a completion that asks the cluster for the names of these kinds."""

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        return names(plurals, context.params, incomplete)

    return complete


def names(plurals: tuple[str, ...], options: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return the names in the cluster that begin so; none when it does not answer at once."""
    from llmkube.cli.connection import Target
    from llmkube.kube.errors import KubeError

    target = Target(options.get("namespace"), context=options.get("kube_context"), kubeconfig=options.get("kubeconfig"))
    with contextlib.suppress(KubeError, OSError, TimeoutError):
        return sorted(name for name in asyncio.run(_names(target, plurals)) if name.startswith(incomplete))
    return []


async def _names(target: Any, plurals: tuple[str, ...]) -> set[str]:
    from llmkube.kube import kinds

    known = (kinds.MODEL, kinds.INFERENCE_SERVICE, kinds.NAMESPACE)
    found: set[str] = set()
    async with asyncio.timeout(PATIENCE), target.connect(quiet=True) as connection:
        for kind in known:
            if kind.plural in plurals:
                found |= {each.metadata.name for each in await connection.client.list(kind, connection.namespace)}
    return found
