"""Where a command's SOURCE leads: the facts of a header, from any source or file, or from the catalogue.

It runs with the rights of whoever calls it: any address and any file that they can read. Credentials come from the
environment alone, as for `llmkube fetch`.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from llmkube.cli.errors import CommandError, InputError, MissingError

if TYPE_CHECKING:
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.resolve import Resolved

EVERYWHERE = ("0.0.0.0/0", "::/0")
TIMEOUT = 60.0


def resolved(source: str) -> tuple[Resolved, ModelFacts]:
    """Return what a source or a file is; CommandError with the reason when it is none, or only a pod can look."""
    from llmkube.gguf.errors import GGUFError
    from llmkube.models.errors import SourceError

    try:
        found = asyncio.run(_resolve(_address(source)))
    except GGUFError as error:
        raise CommandError(error.message) from None
    except SourceError as error:
        kinds = {"NotFound": MissingError, "InvalidSource": InputError}
        raise kinds.get(error.reason, CommandError)(error.message) from None
    if found.facts is None:
        raise CommandError(f"{source}: expected a source that this machine can read; a claim is read by pods only")
    return found, found.facts


def facts_of(source: str) -> ModelFacts:
    """Return the facts of a source or a file, or else of a model of the catalogue: ID or ID:QUANTIZATION."""
    if "://" not in source and not Path(source).exists():
        from llmkube.cli.catalog import memory, read

        model, _, quantization = source.partition(":")
        entry = read.entries().get(model)
        if entry is not None:
            return memory.facts_of(entry, entry.chosen(quantization or None))
    return resolved(source)[1]


def _address(source: str) -> str:
    """A path as a source; a link keeps its name, which says the parts of a split model."""
    if "://" in source:
        return source
    path = Path(source)
    return f"file://{quote(str(path.parent.resolve() / path.name))}"


async def _resolve(source: str) -> Resolved:
    from llmkube.gguf.resolve import resolve
    from llmkube.models.credentials import Credentials
    from llmkube.models.policy import SourcePolicy
    from llmkube.models.registry_login import with_docker_config
    from llmkube.models.session import CA_BUNDLE
    from llmkube.models.source import HUGGING_FACE

    bundle = os.environ.get(CA_BUNDLE)
    return await resolve(
        source,
        policy=SourcePolicy(EVERYWHERE, (Path("/"),)),
        credentials=Credentials.of(with_docker_config(os.environ)),
        timeout=TIMEOUT,
        hugging_face=os.environ.get("HF_ENDPOINT") or HUGGING_FACE,
        ca_bundle=Path(bundle) if bundle else None,
    )
