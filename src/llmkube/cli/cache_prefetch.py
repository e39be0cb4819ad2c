"""`llmkube cache prefetch`: fetches sources ahead, without a Model, and pins what they came to."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from pathlib import Path

import click

from llmkube.cli.cache_options import SHARED, digest
from llmkube.cli.errors import CommandError, InputError, MissingError
from llmkube.cli.fetch import PROGRESS, Outcome, request_of, run, teller
from llmkube.local.home import Home


@click.command(
    epilog="""\b
Examples:
  llmkube cache prefetch hf://org/repo/model.gguf --cache /var/cache/models
  llmkube cache prefetch hf://org/repo/model.gguf --unpin
"""
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--cache", "directory", type=click.Path(path_type=Path), help="Directory of the cache; by default local mode's."
)
@click.option("--sha256", default="", help="Digest that is expected, of one SOURCE.")
@click.option("--unpin", is_flag=True, help="Fetch nothing: what is pinned for SOURCE (or a pin of that name) may go.")
@PROGRESS
def prefetch(sources: tuple[str, ...], *, directory: Path | None, sha256: str, unpin: bool, progress: str) -> None:
    """Fetch each SOURCE into a cache before a model asks for it, and pin it there.

    A Model that names the same source (or digest) finds the bytes. The default directory is the claim that local mode's
    Models with cache.mode Shared have in common. Credentials come from the environment, as for `llmkube fetch`.
    """
    cache = directory or Home.find(os.environ).volumes / SHARED
    if sha256 and len(sources) > 1:
        raise InputError("--sha256 is of one SOURCE: run the command once for each")
    for source in sources:
        if unpin:
            _unpin(cache, source)
        else:
            _prefetch(source, cache, sha256 and digest(sha256), progress)


def pin_name(source: str) -> str:
    """Return the name of a source's pin: its file's, and a few digits that tell it from others of that name."""
    filename = source.split("?", maxsplit=1)[0].rsplit("/", 1)[-1].lower()
    stem = re.sub(r"[^a-z0-9]+", "-", filename.removesuffix(".gguf")).strip("-")
    return f"{stem[:48] or 'model'}-{hashlib.sha256(source.encode()).hexdigest()[:6]}"


def _prefetch(source: str, cache: Path, sha256: str, progress: str) -> None:
    shown = teller(progress)
    outcome: Outcome = asyncio.run(run(request_of(source, cache, pin_name(source), sha256), shown))
    shown.end(outcome.event)
    if outcome.code:
        raise click.exceptions.Exit(1)


def _unpin(cache: Path, source: str) -> None:
    from llmkube.models.cache import Cache

    pins = Cache(cache).layout
    for name in (pin_name(source), source):
        place = pins.pin(name)
        if "/" not in name and place.is_file():
            try:
                place.unlink()
            except OSError as error:
                raise CommandError(f"cache {cache}: pin {name}: cannot be removed: {error.strerror}") from None
            click.echo(f"unpinned {name}")
            return
    raise MissingError(f"cache {cache}: expected a pin of {source}, found none; see `llmkube cache list -o json`")
