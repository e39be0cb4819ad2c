"""Types of the operator's options: texts that an environment variable can hold several of, and images."""

from __future__ import annotations

import re
from typing import Any, get_args

import click

from llmkube.api.hardware import Accelerator

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
