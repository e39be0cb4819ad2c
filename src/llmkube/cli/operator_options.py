"""Types of the operator's options: texts that an environment variable can hold several of, and images."""

from __future__ import annotations

import re
from typing import Any, get_args

import click

from llmkube.api.hardware import Accelerator


class Listed(click.types.StringParamType):
    """A repeatable text; its environment variable holds several, apart by commas or spaces."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the words of an environment variable."""
        return [word for word in re.split(r"[,\s]+", rv) if word]


class Image(Listed):
    """`ACCELERATOR=REFERENCE`."""

    name = "accelerator=reference"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the pair."""
        if isinstance(value, tuple):
            return value
        accelerator, _, reference = str(value).partition("=")
        known = get_args(Accelerator)
        if accelerator not in known or not reference:
            self.fail(f"expected ACCELERATOR=REFERENCE with one of {', '.join(known)}, found {value!r}", param, ctx)
        return accelerator, reference
