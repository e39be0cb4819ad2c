"""The `llmkube` command: a table of subcommands, each imported only when it is the one that was asked for."""

from __future__ import annotations

import importlib
from typing import Any

import click

COMMANDS = {
    "apply": "llmkube.cli.apply:apply",
    "chat": "llmkube.cli.chat:chat",
    "completion": "llmkube.cli.completion:completion",
    "crds": "llmkube.cli.crds:crds",
    "delete": "llmkube.cli.delete:delete",
    "deploy": "llmkube.cli.deploy:deploy",
    "fetch": "llmkube.cli.fetch:fetch",
    "inspect": "llmkube.cli.inspect:inspect",
    "list": "llmkube.cli.list:list_",
    "local": "llmkube.cli.local:local",
    "logs": "llmkube.cli.logs:logs",
    "operator": "llmkube.cli.operator:operator",
    "status": "llmkube.cli.status:status",
    "version": "llmkube.cli.version:version",
}


class LazyGroup(click.Group):
    """A group whose subcommands live in modules of their own, imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main(**_: Any) -> None:
    """Run large language models on Kubernetes, or on this machine, from two small YAML documents."""


if __name__ == "__main__":
    main()
