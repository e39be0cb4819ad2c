"""Which cluster and namespace a command talks to: kubectl's own options, and the way from them to a Client.

Imports the client only when a command connects, so that `--help` stays instant; never writes to stdout.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llmkube.cli.completion import completed
from llmkube.cli.errors import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from llmkube.kube.client import Client
    from llmkube.kube.config import ClusterConfig

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True)
class Target:
    """What the options say of where a command goes."""

    namespace: str | None = None
    all_namespaces: bool = False
    context: str | None = None
    kubeconfig: Path | None = None

    @asynccontextmanager
    async def connect(self, *, quiet: bool = False) -> AsyncIterator[Connection]:
        """Yield the connection; close it afterwards."""
        from llmkube.kube.client import Client
        from llmkube.kube.transport import Transport

        async with Transport(await self._config(quiet=quiet)) as transport:
            client = Client(transport)
            yield Connection(client, self.namespace or client.namespace, all_namespaces=self.all_namespaces)

    async def _config(self, *, quiet: bool) -> ClusterConfig:
        from llmkube.kube import config

        path = self.kubeconfig
        if path is None and (path := local_kubeconfig(self.context)) is not None and not quiet:
            click.echo(f"using local mode: {path}", err=True)
        return await config.load(path, self.context)


@dataclass(frozen=True)
class Connection:
    """A client, and the namespace that is meant."""

    client: Client
    namespace: str
    all_namespaces: bool = False

    @property
    def scope(self) -> str | None:
        """The namespace to list, or None for all of them."""
        return None if self.all_namespaces else self.namespace


def local_kubeconfig(context: str | None = None) -> Path | None:
    """Return local mode's kubeconfig where it is the one that is meant.

    That is when no other is configured, or when $LLMKUBE_HOME is set: a home that was named beats ~/.kube/config.
    """
    from llmkube.kube import config

    home = os.environ.get("LLMKUBE_HOME")
    path = (Path(home) if home else Path.home() / ".llmkube") / "local" / "kubeconfig"
    if os.environ.get("KUBECONFIG") or context or not path.exists():
        return None
    configured = bool(config.default_kubeconfigs()) or (config.SERVICE_ACCOUNT / "token").exists()
    return path if home or not configured else None


def connected(*, all_namespaces: bool = False) -> Callable[[F], F]:
    """Add the options of a cluster to a command; it gets them as one argument, `target`."""

    def decorate(function: F) -> F:
        import functools

        @functools.wraps(function)
        def command(
            *args: Any, namespace: str | None, kube_context: str | None, kubeconfig: Path | None, **kwargs: Any
        ) -> Any:
            everywhere = bool(kwargs.pop("all_namespaces", False))
            return function(*args, target=Target(namespace, everywhere, kube_context, kubeconfig), **kwargs)

        options = [_NAMESPACE, *([_ALL_NAMESPACES] if all_namespaces else []), _CONTEXT, _KUBECONFIG]
        for option in reversed(options):
            command = option(command)
        return command  # type: ignore[return-value]

    return decorate


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end; what fails becomes one line and an exit code."""
    quietly()
    with one_line():
        return asyncio.run(work)


def quietly() -> None:
    """Keep the client's log lines, meant for the operator, out of a person's terminal."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


_NAMESPACE = click.option(
    "-n",
    "--namespace",
    metavar="NS",
    help="Namespace; by default the context's.",
    shell_complete=completed("namespaces"),
)
_ALL_NAMESPACES = click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")
_CONTEXT = click.option("--context", "kube_context", metavar="NAME", help="Context of the kubeconfig.")
_KUBECONFIG = click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Kubeconfig file; by default $KUBECONFIG, ~/.kube/config.",
)
