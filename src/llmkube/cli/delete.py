"""`llmkube delete`: services and models by name, or what documents name; with --wait until they are gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import click

from llmkube.cli import documents
from llmkube.cli.completion import completed
from llmkube.cli.connection import Connection, Target, connected, run
from llmkube.cli.errors import InputError, MissingError, TimedOutError, one_line
from llmkube.cli.options import timeout_option
from llmkube.cli.wait import named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmkube.kube.kinds import Key

POLL = 0.2


class Named(NamedTuple):
    """What to delete; an empty namespace is the one that is meant."""

    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        """Return `model/smollm2`."""
        return f"{self.kind.lower()}/{self.name}"


@click.command(
    epilog="""\b
Examples:
  llmkube delete smollm2                 the service; its Model and the verified file stay
  llmkube delete smollm2 --with-model
  llmkube delete model/smollm2
  llmkube delete -f quickstart.yaml
"""
)
@click.argument("names", nargs=-1, shell_complete=completed("inferenceservices", "models"))
@click.option("-f", "--filename", "files", multiple=True, metavar="FILE|DIR|-", help="Delete what documents name.")
@click.option("--with-model", is_flag=True, help="Also delete the Models of the same names.")
@click.option("--ignore-not-found", is_flag=True, help="What is not there is no error.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until they are gone.")
@timeout_option("2m")
@connected()
def delete(
    names: tuple[str, ...],
    files: tuple[str, ...],
    *,
    with_model: bool,
    ignore_not_found: bool,
    wait: bool,
    timeout: float,
    target: Target,
) -> None:
    """Delete services and models.

    A bare NAME is an InferenceService; write model/NAME for a Model. A Model that a service still uses stays until
    that service is gone.
    """
    with one_line():
        wanted = [*_by_name(names, with_model=with_model), *(_by_file(files) if files else ())]
        if not wanted:
            raise InputError("nothing to delete: expected names or -f FILE")
    run(_delete(target, wanted, ignore=ignore_not_found, patience=timeout if wait else None))


def _by_name(names: Sequence[str], *, with_model: bool) -> list[Named]:
    chosen = [Named(*named(each)) for each in names]
    models = [Named("Model", each.name) for each in chosen if with_model and each.kind != "Model"]
    return [*chosen, *models]


def _by_file(files: Sequence[str]) -> list[Named]:
    """Return the Models and InferenceServices of documents, services first so that no Model is in use."""
    found = [each for each in documents.read(files) if documents.is_ours(each.content)]
    documents.check(found)
    wanted = [
        Named(each.content["kind"], each.content["metadata"]["name"], each.content["metadata"].get("namespace") or "")
        for each in found
    ]
    return sorted(wanted, key=lambda each: each.kind == "Model")


async def _delete(target: Target, wanted: Sequence[Named], *, ignore: bool, patience: float | None) -> None:
    from llmkube.cli.follow import KINDS
    from llmkube.kube.kinds import Key

    missing: list[Named] = []
    async with target.connect() as connection:
        keys = {each: Key(each.namespace or connection.namespace, each.name) for each in wanted}
        for each, key in keys.items():
            if not await connection.client.delete(KINDS[each.kind], key):
                missing.append(each)
            elif patience is None:
                click.echo(f"{each} is being deleted")
        if patience is not None:
            await _until_gone(connection, {each: keys[each] for each in keys if each not in missing}, patience)
    if missing and not ignore:
        raise MissingError("\n".join(f"{each} not found" for each in missing))


async def _until_gone(connection: Connection, keys: Mapping[Named, Key], patience: float) -> None:
    """Say of each that it is deleted once it is; a finalizer may take its time."""
    left = list(keys)
    try:
        async with asyncio.timeout(patience):
            while left:
                if await _is_there(connection, left[0], keys[left[0]]):
                    await asyncio.sleep(POLL)
                else:
                    click.echo(f"{left.pop(0)} deleted")
    except TimeoutError:
        held = ", ".join(str(each) for each in left)
        raise TimedOutError(
            f"{held} not gone after {patience:g}s: a finalizer holds it; see `llmkube status`"
        ) from None


async def _is_there(connection: Connection, each: Named, key: Key) -> bool:
    """Whether the object that was deleted is still there; one that was made anew is not that object."""
    from llmkube.cli.follow import KINDS
    from llmkube.kube.errors import NotFound

    try:
        live = await connection.client.get(KINDS[each.kind], key)
    except NotFound:
        return False
    return live.metadata.deletion_timestamp is not None
