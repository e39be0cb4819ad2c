"""`llmkube cache clear`: shows what would go, asks, and removes it under the locks that fetches hold."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from llmkube.cli.cache_options import cached, caches, digest, inventory_of, model_name, seconds
from llmkube.cli.errors import CommandError, InputError, MissingError
from llmkube.cli.output import aligned, size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from llmkube.models.cache import Cache
    from llmkube.models.collect import Inventory, Removal, Wish
    from llmkube.models.removal import Removed


@click.command(
    epilog="""\b
Examples:
  llmkube cache clear --all-unused --partials
  llmkube cache clear 9fecc3b3cd76 --yes
  llmkube cache clear --all-unused --older-than 30d --dry-run
"""
)
@click.argument("digests", nargs=-1, metavar="[DIGEST]...", type=digest)
@cached
@click.option("--all-unused", is_flag=True, help="Every blob that no model and no pin refers to.")
@click.option("--partials", is_flag=True, help="Downloads that were broken off; they would begin anew.")
@click.option(
    "--older-than", type=seconds, default="0s", metavar="AGE", help="Of those, what was not used for 12h, 30d."
)
@click.option(
    "--model",
    "models",
    type=model_name,
    multiple=True,
    metavar="NS/NAME",
    help="What only this model needs; repeatable.",
)
@click.option("--force", is_flag=True, help="Also a DIGEST that models or pins refer to; they lose it.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and leave it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def clear(directories: tuple[Path, ...], *, dry_run: bool, yes: bool, **options: Any) -> None:
    """Remove what nothing refers to: blobs by the first digits of their digest, or all that are unused.

    What a fetch needs at this moment stays, whatever is asked for.
    """
    from llmkube.models.collect import Wish

    wish = Wish(**options)
    if not (wish.digests or wish.all_unused or wish.partials or wish.models):
        raise InputError("say what to remove: DIGEST, --all-unused, --partials or --model NS/NAME")
    plans = _plans(caches(directories, os.environ), wish)
    if not any(removal for _, removal in plans):
        click.echo("nothing to remove")
        return
    click.echo(_told([removal for _, removal in plans]), nl=False)
    total = size(sum(removal.bytes for _, removal in plans))
    if dry_run:
        click.echo(f"{total} would be removed (dry run)")
        return
    if not yes:
        click.confirm(f"Remove {total}?", abort=True)
    _report([_removed(cache, removal) for cache, removal in plans])


def _plans(found: Sequence[Cache], wish: Wish) -> list[tuple[Cache, Removal]]:
    """What goes of each cache. A digest has to be in one of them."""
    inventories = [inventory_of(each) for each in found]
    for each in wish.digests:
        if not any(_has(inventory, each) for inventory in inventories):
            where = ", ".join(str(cache.root) for cache in found)
            raise MissingError(f"blob {each}: expected one of this digest in {where}, found none; see `cache list`")
    return [(cache, _plan(inventory, wish)) for cache, inventory in zip(found, inventories, strict=True)]


def _has(inventory: Inventory, digits: str) -> bool:
    return any(blob.sha256.startswith(digits) for blob in inventory.blobs)


def _plan(inventory: Inventory, wish: Wish) -> Removal:
    from dataclasses import replace

    from llmkube.models.collect import CollectError, clearing

    here = replace(wish, digests=tuple(each for each in wish.digests if _has(inventory, each)))
    try:
        return clearing(inventory, here, now=time.time())
    except CollectError as error:
        raise CommandError(str(error)) from None


def _told(removals: Sequence[Removal]) -> str:
    rows = []
    for removal in removals:
        rows += [["links", f"{each.model} at {each.digest12}", ""] for each in removal.links]
        rows += [["pin", each.name, ""] for each in removal.pins]
        rows += [["blob", each.sha256[:12], size(each.size)] for each in removal.blobs]
        rows += [["partial", each.filename or each.key[:12], size(each.size)] for each in removal.partials]
    return aligned(rows)


def _removed(cache: Cache, removal: Removal) -> Removed:
    from llmkube.models.errors import SourceError
    from llmkube.models.removal import remove

    try:
        return remove(cache, removal)
    except SourceError as error:
        raise CommandError(error.message) from None


def _report(removed: Sequence[Removed]) -> None:
    click.echo(f"removed {size(sum(each.bytes for each in removed))}")
    for each in removed:
        for key in each.kept:
            click.echo(f"kept {key[:12]}: a fetch or a model needs it by now", err=True)
