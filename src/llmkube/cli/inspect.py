"""`llmkube inspect`: what a model's file says of itself, from its first bytes. Nothing is downloaded or kept.

It runs with the rights of whoever calls it: any address and any file that they can read. Credentials come from the
environment alone, as for `llmkube fetch`.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from llmkube.cli.errors import CommandError, InputError, MissingError
from llmkube.cli.output import aligned, as_json, output_option, printable, size

if TYPE_CHECKING:
    from llmkube.desired.resolution import Known
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.buffers import Buffers
    from llmkube.gguf.resolve import Resolved

EVERYWHERE = ("0.0.0.0/0", "::/0")
CONTEXT = 8192
TIMEOUT = 60.0


@click.command()
@click.argument("source", metavar="SOURCE|FILE")
@output_option("table", "json")
@click.option("--ctx-size", type=click.IntRange(1, 2**24), help="Context for the memory needed, in tokens.")
@click.option("--parallel", type=click.IntRange(1, 256), default=1, show_default=True, help="Slots sharing it.")
def inspect(*, source: str, output: str, ctx_size: int | None, parallel: int) -> None:
    """Show what a GGUF model is, and the memory it needs, without downloading it.

    \b
    SOURCE is https://…, http://…, hf://org/repo/file.gguf[@revision] or a local file.
    Credentials: HF_TOKEN, LLMKUBE_SOURCE_TOKEN, or LLMKUBE_SOURCE_USERNAME and LLMKUBE_SOURCE_PASSWORD.
    """
    from llmkube.desired.model_facts import known

    found = _resolved(_address(source))
    if found.facts is None:
        raise CommandError(f"{source}: expected a source that this machine can read; a claim is read by pods only")
    use = _Use(ctx_size or min(CONTEXT, found.facts.context_length or CONTEXT), parallel)
    planned = _planned(found.facts, use)
    told = known(found)
    if output == "json":
        text = as_json({"source": source, "files": found.files, **_fields(told), "estimate": _estimate(planned, use)})
    else:
        text = aligned([[title, printable(value)] for title, value in _rows(found, told, planned, use) if value])
    click.echo(text, nl=False)


@dataclass(frozen=True)
class _Use:
    """What memory is told for: a context in tokens, shared by so many slots."""

    context: int
    parallel: int


def _address(source: str) -> str:
    """A path as a source; a link keeps its name, which says the parts of a split model."""
    if "://" in source:
        return source
    path = Path(source)
    return f"file://{quote(str(path.parent.resolve() / path.name))}"


def _resolved(source: str) -> Resolved:
    from llmkube.gguf.errors import GGUFError
    from llmkube.models.errors import SourceError

    try:
        return asyncio.run(_resolve(source))
    except GGUFError as error:
        raise CommandError(error.message) from None
    except SourceError as error:
        kinds = {"NotFound": MissingError, "InvalidSource": InputError}
        raise kinds.get(error.reason, CommandError)(error.message) from None


async def _resolve(source: str) -> Resolved:
    from llmkube.gguf.resolve import resolve
    from llmkube.models.credentials import Credentials
    from llmkube.models.policy import SourcePolicy
    from llmkube.models.session import CA_BUNDLE
    from llmkube.models.source import HUGGING_FACE

    bundle = os.environ.get(CA_BUNDLE)
    return await resolve(
        source,
        policy=SourcePolicy(EVERYWHERE, (Path("/"),)),
        credentials=Credentials.of(os.environ),
        timeout=TIMEOUT,
        hugging_face=os.environ.get("HF_ENDPOINT") or HUGGING_FACE,
        ca_bundle=Path(bundle) if bundle else None,
    )


def _fields(told: Known) -> dict[str, Any]:
    """Return what was found under the names that the status of a Model has for it."""
    plain = {"sizeBytes": told.size_bytes, "sha256": told.sha256, "etag": told.etag, "revision": told.revision}
    records = {"gguf": told.facts, "memory": told.memory}
    shown = {name: one.model_dump(by_alias=True, exclude_none=True) for name, one in records.items() if one}
    return {**{name: value for name, value in plain.items() if value}, **shown}


def _planned(facts: ModelFacts, use: _Use) -> Buffers:
    """Return the memory needed for this use without GPUs; of what is no language model, its weights alone."""
    from llmkube.gguf.plan.buffers import Buffers
    from llmkube.gguf.plan.memory import plan
    from llmkube.gguf.plan.options import EngineOptions, PlanError

    try:
        return plan(facts, EngineOptions(context=use.context, parallel=use.parallel)).sum
    except PlanError:
        return Buffers(model=facts.weights_bytes)


def _cache(planned: Buffers) -> int:
    return planned.kv + planned.kv_swa + planned.recurrent


def _estimate(planned: Buffers, use: _Use) -> dict[str, int]:
    """Return the memory needed for this use, in bytes."""
    parts = {"weights": planned.model, "kvCache": _cache(planned), "compute": planned.compute, "output": planned.output}
    return {"contextSize": use.context, "parallel": use.parallel, **parts, "total": planned.total}


def _rows(found: Resolved, told: Known, planned: Buffers, use: _Use) -> list[tuple[str, object]]:
    """Return the lines of the table; those that the file says nothing of are empty."""
    facts = told.facts
    assert facts is not None  # noqa: S101 - a source without facts was refused before
    experts = facts.experts and f"{facts.experts}, {facts.experts_used or '?'} used per token"
    length = told.size_bytes and f"{size(told.size_bytes)} ({told.size_bytes} bytes)"
    return [
        ("NAME", facts.name),
        ("ARCHITECTURE", facts.architecture),
        ("PARAMETERS", _count(facts.parameters)),
        ("QUANTIZATION", facts.quantization),
        ("CONTEXT", facts.context_length),
        ("LAYERS", facts.block_count),
        ("EMBEDDING", facts.embedding_length),
        ("HEADS", facts.head_count),
        ("KV HEADS", facts.head_count_kv),
        ("VOCABULARY", facts.vocabulary_size),
        ("EXPERTS", experts),
        ("LICENSE", facts.license),
        ("CHAT TEMPLATE", "yes" if facts.chat_template else "no"),
        ("FILES", found.files if found.files > 1 else None),
        ("SIZE", length),
        ("SHA256", told.sha256),
        ("REVISION", told.revision),
        ("MEMORY", f"{size(planned.total)} at {use.context} tokens of context, {use.parallel} slot(s), f16 cache"),
        ("  WEIGHTS", size(planned.model)),
        ("  KV CACHE", size(_cache(planned))),
        ("  COMPUTE", f"about {size(planned.compute + planned.output)}"),
    ]


def _count(number: int | None) -> str | None:
    """A number of parameters for people: `134.5M`."""
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number and number >= limit:
            return f"{number / limit:.1f}{unit}"
    return str(number) if number else None
