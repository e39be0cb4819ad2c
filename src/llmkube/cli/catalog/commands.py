"""`llmkube catalog`: well-known models as data, to choose one by its use, licence and memory, and deploy it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmkube.cli.catalog.tasks import TASKS
from llmkube.cli.connection import Target, connected
from llmkube.cli.deploy import use_options
from llmkube.cli.errors import FAILED, InputError
from llmkube.cli.options import WriteOptions, write_options
from llmkube.cli.output import as_json, as_yaml, output_option

if TYPE_CHECKING:
    from collections.abc import Callable


def _ids(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from llmkube.cli.catalog import read

    try:
        known = read.entries(context.params.get("own") or ())
    except click.ClickException:
        return []
    return [each for each in known if each.startswith(incomplete)]


def _quantizations(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Those of the model where click knows it by then (it does for `--quantization=`), else all that there are."""
    from llmkube.cli.catalog import read

    try:
        known = read.entries(context.params.get("own") or ())
    except click.ClickException:
        return []
    model = str(context.params.get("model"))
    found = [one.name for each in ([known[model]] if model in known else known.values()) for one in each.quantizations]
    return sorted({name for name in found if name.lower().startswith(incomplete.lower())})


def _own(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--catalog",
        "own",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A catalogue of your own, over the shipped one; by default $LLMKUBE_CATALOG.",
    )(function)


_MODEL = click.argument("model", metavar="ID", shell_complete=_ids)
_QUANTIZATION = click.option(
    "--quantization", metavar="NAME", shell_complete=_quantizations, help="Which file, e.g. Q4_K_M; the first listed."
)


@click.group()
def catalog() -> None:
    """Choose and deploy a well-known model.

    The catalogue is data: where each model is, its licence, its quantisations and the memory it needs. It is shipped
    with llmkube and read without a network. A file of your own with the same fields goes over it.
    """


@catalog.command(
    "list",
    short_help="List the models that there are.",
    epilog="""\b
Examples:
  llmkube catalog list --task code --max-memory 8Gi
  llmkube catalog list --license apache-2.0 -o wide
""",
)
@click.option("--task", type=click.Choice(TASKS), help="Only models for this.")
@click.option("--license", "licence", metavar="NAME", help="Only models under this licence, e.g. apache-2.0.")
@click.option("--max-memory", metavar="QUANTITY", help="Only models that need at most so much, e.g. 8Gi.")
@_own
@output_option("table", "wide", "json", "yaml", "name")
def list_(*, task: str | None, licence: str | None, max_memory: str | None, own: tuple[Path, ...], output: str) -> None:
    """List the models that there are.

    MEMORY is what the listed file needs for one request at a time with 8192 tokens of context, all of it on one
    device. `llmkube catalog info ID` has other contexts; `llmkube fit` plans for your GPUs.
    """
    from llmkube.cli.catalog import read, show

    limit = _limit(max_memory)
    found = [each for each in map(show.Listed.of, read.entries(map(str, own)).values()) if each.suits(task, licence)]
    kept = [each for each in found if limit is None or each.memory <= limit]
    click.echo(show.listing(kept, output), nl=False)


@catalog.command(short_help="Show all that is known of a model.", epilog="Example: llmkube catalog info qwen3-8b")
@_MODEL
@_own
@output_option("table", "json", "yaml")
def info(*, model: str, own: tuple[Path, ...], output: str) -> None:
    """Show all that is known of a model: files, licence, memory by context, and what deploy would apply."""
    from llmkube.cli.catalog import read, show

    entry = read.entry(model, map(str, own))
    if output == "table":
        click.echo(show.described(entry), nl=False)
    else:
        click.echo((as_json if output == "json" else as_yaml)(show.told(entry)), nl=False)


@catalog.command(
    short_help="Deploy a model and wait until it answers.",
    epilog="""\b
Examples:
  llmkube catalog deploy qwen3-8b --gpu --context-size 16384
  llmkube catalog deploy llama-3.1-8b-instruct --quantization Q8_0 --name llama -n team-a
  llmkube catalog deploy bge-m3 --mirror https://models.example.com/gguf
  llmkube catalog deploy qwen3-8b --dry-run=client -o yaml > qwen3-8b.yaml
""",
)
@_MODEL
@click.option("--name", metavar="NAME", help="Name of what is made; by default the model's id.")
@_QUANTIZATION
@click.option("--mirror", metavar="URL", help="Take the file of the same name from below this URL, not from the hub.")
@click.option("--text-only", is_flag=True, help="Leave out the projector with which a model sees.")
@_own
@use_options
@write_options(wait=True, timeout="30m")
@connected()
def deploy(
    *,
    model: str,
    name: str | None,
    quantization: str | None,
    mirror: str | None,
    text_only: bool,
    own: tuple[Path, ...],
    options: WriteOptions,
    target: Target,
    **wishes: Any,
) -> None:
    """Make a Model and an InferenceService of a model of the catalogue, and wait until it answers.

    It does what `llmkube deploy` does with the source and the digest of the catalogue; all flags are the same.
    """
    from llmkube.cli.catalog import read, show
    from llmkube.cli.deploy import apply_wishes

    entry = read.entry(model, map(str, own))
    if text_only:
        wishes["mmproj"] = None
    wanted = show.wishes(entry, entry.chosen(quantization), mirror, **wishes)
    apply_wishes(name or show.name_of(entry), wanted, options, target)


@catalog.command(
    short_help="Hold the catalogue against its sources.",
    epilog="""\b
Examples:
  llmkube catalog check qwen3-8b
  llmkube catalog check --catalog our.yaml
""",
)
@click.argument("models", metavar="[ID]...", nargs=-1, shell_complete=_ids)
@_own
@output_option("table", "json")
def check(*, models: tuple[str, ...], own: tuple[Path, ...], output: str) -> None:
    """Hold the catalogue against its sources: each file's header is read, nothing is downloaded.

    Digest, size, licence and the numbers of the header are compared. Exit code 1 when one differs, or when a source
    does not answer. Without IDs all models are checked, or those of your own catalogue where one is named.
    """
    from llmkube.cli.catalog import read, show
    from llmkube.cli.catalog.check import checked

    named = [read.entry(each, map(str, own)) for each in models]
    chosen = named or list((read.own_entries(map(str, own)) or read.shipped()).values())
    found = [checked(entry, one) for entry in chosen for one in entry.quantizations]
    click.echo(show.compared(found, output), nl=False)
    if any(each.differences for each in found):
        raise click.exceptions.Exit(FAILED)


def _limit(text: str | None) -> int | None:
    from llmkube.api.quantity import QuantityError, to_int

    try:
        return None if text is None else to_int(text)
    except QuantityError as error:
        raise InputError(f"--max-memory: {error}") from None
