"""Types of the operator's options: texts that an environment variable can hold several of, and images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import click

from llmkube.api.hardware import Accelerator
from llmkube.desired.settings import ENGINE_REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

ARCHITECTURE = re.compile(r"[a-z0-9]{1,16}")


class Listed(click.types.StringParamType):
    """A repeatable text; its environment variable holds several, apart by commas or spaces."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the words of an environment variable."""
        return [word for word in re.split(r"[,\s]+", rv) if word]


class Image(Listed):
    """`ACCELERATOR[/ARCH]=REFERENCE`."""

    name = "accelerator[/arch]=reference"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the pair."""
        if isinstance(value, tuple):
            return value
        key, _, reference = str(value).partition("=")
        accelerator, slash, arch = key.partition("/")
        known = get_args(Accelerator)
        if accelerator not in known or not reference or (slash and not ARCHITECTURE.fullmatch(arch)):
            wanted = f"ACCELERATOR=REFERENCE or ACCELERATOR/ARCH=REFERENCE with one of {', '.join(known)}"
            self.fail(f"expected {wanted}, found {value!r}", param, ctx)
        return key, reference


_IMAGES = (
    click.option(
        "--image",
        "images",
        type=Image(),
        multiple=True,
        help="Image of llama-server for an accelerator, or for its nodes of one architecture; repeatable; the others "
        "keep theirs.",
    ),
    click.option(
        "--image-repository",
        default=ENGINE_REPOSITORY,
        metavar="REPOSITORY",
        help="Where llama.cpp's own images are pulled from: a mirror with the same tags.",
    ),
    click.option(
        "--image-pull-secret",
        "image_pull_secrets",
        type=Listed(),
        multiple=True,
        metavar="NAME",
        help="Secret with which images are pulled, in each namespace that has services; repeatable.",
    ),
    click.option(
        "--engine-build",
        type=click.IntRange(min=1),
        metavar="NUMBER",
        help="llama.cpp build of the images whose tag does not end with one, e.g. 11669.",
    ),
)


def image_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says which images of the engine run, where they come from, and what they take."""
    for option in reversed(_IMAGES):
        function = option(function)
    return function
