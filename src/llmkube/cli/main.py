"""The `llmkube` command: a table of subcommands, each imported only when it is the one that was asked for."""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click


class Entry(NamedTuple):
    """Where a subcommand lives, and its one line in `llmkube --help`, which must not cost fourteen imports."""

    target: str
    summary: str


COMMANDS = {
    "apply": Entry("llmkube.cli.apply:apply", "Apply YAML documents to the cluster."),
    "cache": Entry("llmkube.cli.cache:cache", "Show and tidy caches of models."),
    "catalog": Entry("llmkube.cli.catalog.commands:catalog", "Choose and deploy a well-known model."),
    "chat": Entry("llmkube.cli.chat:chat", "Talk to an InferenceService, streaming."),
    "completion": Entry("llmkube.cli.completion:completion", "Print a shell completion script."),
    "crds": Entry("llmkube.cli.crds:crds", "Print the CustomResourceDefinitions."),
    "delete": Entry("llmkube.cli.delete:delete", "Delete services and their models."),
    "deploy": Entry("llmkube.cli.deploy:deploy", "Make a Model and an InferenceService in one line."),
    "fetch": Entry("llmkube.cli.fetch:fetch", "Fetch and verify a model into a cache directory (used by Jobs)."),
    "fit": Entry("llmkube.cli.fit.command:fit", "Say whether a model fits on GPUs, without downloading it."),
    "inspect": Entry("llmkube.cli.inspect:inspect", "Show a GGUF's facts without downloading it."),
    "list": Entry("llmkube.cli.list:list_", "List models and services."),
    "local": Entry("llmkube.cli.local:local", "Run everything on this machine, without Kubernetes."),
    "logs": Entry("llmkube.cli.logs:logs", "Print the logs of a service's pods."),
    "operator": Entry("llmkube.cli.operator:operator", "Run the operator (in a cluster, as a Deployment)."),
    "scale": Entry("llmkube.cli.scale:scale", "Set the number of replicas of a service."),
    "status": Entry("llmkube.cli.status:status", "Say everything about one service or model."),
    "version": Entry("llmkube.cli.version:version", "Print the versions of client, server and CRDs."),
    "wait": Entry("llmkube.cli.wait:wait", "Wait until models and services are ready, showing progress."),
}


class LazyGroup(click.Group):
    """A group whose subcommands live in modules of their own, imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every name without importing anything."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, so that help stays instant."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Run large language models on Kubernetes, or on this machine, from two small YAML documents."""


if __name__ == "__main__":
    main()
