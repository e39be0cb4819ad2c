"""Which caches a command means, and what its options say. Directories are looked for, never made, but by `prefetch`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llmkube.cli.errors import CommandError, InputError
from llmkube.local.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmkube.models.cache import Cache
    from llmkube.models.collect import Inventory, ModelName

F = TypeVar("F", bound="Callable[..., Any]")
SHARED = Path("default", "llmkube-models")
"""Where local mode keeps the claim that the Models of namespace `default` share (desired/cache.py, mode Shared)."""
_AGE = re.compile(r"(?P<number>\d{1,6})(?P<unit>[smhdw])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def cached(function: F) -> F:
    """Add `--cache` to a command; it gets `directories`."""
    return click.option(
        "--cache",
        "directories",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Directory of a cache; may be repeated. By default those of local mode.",
    )(function)


def caches(directories: tuple[Path, ...], environ: Mapping[str, str]) -> list[Cache]:
    """The caches that are meant; CommandError when one of them is not there."""
    from llmkube.models.cache import Cache

    for each in directories:
        if not each.is_dir():
            what = "something else" if each.exists() else "nothing"
            raise CommandError(f"cache {each}: expected a directory, found {what}; check --cache")
    volumes = Home.find(environ).volumes
    found = directories or tuple(sorted(each.parent for each in volumes.glob("*/*/v[1-9]*")))
    if not found:
        raise InputError(f"expected --cache DIR (or -n NAMESPACE for `list`): local mode has no caches in {volumes}")
    return [Cache(each) for each in dict.fromkeys(found)]


def inventory_of(cache: Cache) -> Inventory:
    """What is there; CommandError when it cannot be read."""
    from llmkube.models.errors import SourceError
    from llmkube.models.inventory import inventory

    try:
        return inventory(cache)
    except SourceError as error:
        raise CommandError(error.message) from None


def seconds(text: str) -> float:
    """Return the seconds of an age such as 90m, 12h, 30d or 2w."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"expected an age such as 90m, 12h, 30d or 2w, found {text!r}")
    return int(found["number"]) * _UNITS[found["unit"]]


def model_name(text: str) -> ModelName:
    """Return the model that NAMESPACE/NAME means."""
    from llmkube.models.collect import ModelName

    namespace, slash, name = text.partition("/")
    if not slash or not _NAME.fullmatch(namespace) or not _NAME.fullmatch(name):
        raise click.BadParameter(f"expected NAMESPACE/NAME, found {text!r}")
    return ModelName(namespace, name)


def digest(text: str) -> str:
    """Return the digits that a blob's name begins with."""
    found = text.removeprefix("sha256-").removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{6,64}", found):
        raise click.BadParameter(f"expected 6 to 64 lower-case hex digits of a digest, found {text!r}")
    return found
