"""`llmkube cache verify`: reads every blob again, and says which are not what their names say any more."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from llmkube.cli.cache_options import cached, caches, digest, inventory_of
from llmkube.cli.cache_report import users
from llmkube.cli.errors import CommandError, MissingError
from llmkube.cli.output import as_json, output_option, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from llmkube.models.cache import Cache
    from llmkube.models.collect import BlobEntry


@dataclass(frozen=True)
class Checked:
    """`found` is the digest of what is there, "" when it is gone; `removed`: the next fetch brings it again."""

    cache: Cache
    blob: BlobEntry
    models: list[str]
    found: str
    removed: bool = False

    @property
    def is_sound(self) -> bool:
        return self.found in {"", self.blob.sha256}


@click.command()
@click.argument("digests", nargs=-1, metavar="[DIGEST]...", type=digest)
@cached
@click.option("--repair", is_flag=True, help="Remove what is corrupted, so that it is fetched again.")
@output_option("text", "json", default="text")
def verify(digests: tuple[str, ...], directories: tuple[Path, ...], *, repair: bool, output: str) -> None:
    """Read blobs again and compare them with their digests: all of them, or those given.

    Ends with exit code 1 when one is corrupted, also when --repair removed it.
    """
    wanted = [(cache, blob, models) for cache, blob, models in _blobs(directories) if _is_wanted(blob, digests)]
    if digests and not wanted:
        raise MissingError(f"blob {', '.join(digests)}: expected one of this digest, found none; see `cache list`")
    with _bar(sum(blob.size for _, blob, _ in wanted)) as moved:
        checked = [_checked(cache, blob, models, moved, repair=repair) for cache, blob, models in wanted]
    if output == "json":
        click.echo(as_json({"blobs": [_document(each) for each in checked]}), nl=False)
    else:
        _report(checked)
    if not all(each.is_sound for each in checked):
        sys.exit(1)


def _blobs(directories: tuple[Path, ...]) -> Iterator[tuple[Cache, BlobEntry, list[str]]]:
    for cache in caches(directories, os.environ):
        inventory = inventory_of(cache)
        for blob in inventory.blobs:
            yield cache, blob, users(inventory, blob.sha256)


def _is_wanted(blob: BlobEntry, digests: tuple[str, ...]) -> bool:
    return not digests or any(blob.sha256.startswith(each) for each in digests)


def _checked(
    cache: Cache, blob: BlobEntry, models: list[str], moved: Callable[[int], None], *, repair: bool
) -> Checked:
    from llmkube.models.errors import SourceError
    from llmkube.models.verify import drop, found_digest

    try:
        found = found_digest(cache, blob, moved) or ""
        is_corrupted = found not in {"", blob.sha256}
        return Checked(cache, blob, models, found, repair and is_corrupted and drop(cache, blob))
    except SourceError as error:
        raise CommandError(error.message) from None


def _report(checked: list[Checked]) -> None:
    for each in checked:
        if not each.is_sound:
            click.echo(_corrupted(each))
    sound = [each for each in checked if each.is_sound]
    click.echo(f"{len(sound)} of {len(checked)} blobs are sound, {size(sum(each.blob.size for each in sound))}")


def _corrupted(checked: Checked) -> str:
    name, where = checked.blob.sha256, checked.cache.root
    who = f"; used by {', '.join(checked.models)}" if checked.models else ""
    todo = "removed, the next fetch brings it again" if checked.removed else "--repair removes it"
    return f"corrupted: {where}: blob {name[:12]}: expected sha256 {name}, found {checked.found}{who}; {todo}"


def _document(checked: Checked) -> dict[str, object]:
    return {
        "path": str(checked.cache.root),
        "sha256": checked.blob.sha256,
        "size": checked.blob.size,
        "sound": checked.is_sound,
        "found": checked.found or None,
        "removed": checked.removed,
        "models": checked.models,
    }


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("verifying"), BarColumn(30), DownloadColumn(binary_units=True), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("verifying", total=total)
        yield lambda count: bar.advance(task, count)
