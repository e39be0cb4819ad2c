"""`llmkube inspect`: what a model's file says of itself, from its first bytes. Nothing is downloaded or kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from llmkube.api.quantity import format_bytes
from llmkube.cli.output import aligned, as_json, output_option, printable, short_count, size

if TYPE_CHECKING:
    from llmkube.desired.resolution import Known
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.buffers import Buffers
    from llmkube.gguf.resolve import Resolved

CONTEXT = 8192


@click.command(
    epilog="""\b
Examples:
  llmkube inspect hf://Qwen/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf
  llmkube inspect model.gguf --context 32768 --parallel 4 -o json
"""
)
@click.argument("source", metavar="SOURCE|FILE")
@output_option("table", "json")
@click.option("--context", "--ctx-size", type=click.IntRange(1, 2**24), help="Context for the memory, in tokens.")
@click.option("--parallel", type=click.IntRange(1, 256), default=1, show_default=True, help="Slots sharing it.")
def inspect(*, source: str, output: str, context: int | None, parallel: int) -> None:
    """Show what a GGUF model is, and the memory it needs, without downloading it.

    \b
    SOURCE is https://…, http://…, hf://org/repo/file.gguf[@revision], s3://bucket/key, oci://registry/repository:tag
    or a local file. Credentials: LLMKUBE_SOURCE_TOKEN, or LLMKUBE_SOURCE_USERNAME and LLMKUBE_SOURCE_PASSWORD;
    HF_TOKEN; AWS_ACCESS_KEY_ID and the like; what `docker login` wrote.
    """
    from llmkube.cli.resolving import resolved
    from llmkube.desired.model_facts import known

    found, facts = resolved(source)
    use = _Use(context or min(CONTEXT, facts.context_length or CONTEXT), parallel)
    planned, told = _planned(facts, use), known(found)
    if output == "json":
        text = as_json({"source": source, "files": found.files, **_fields(told), "plan": _plan(planned, use)})
    else:
        text = aligned([[title, printable(value)] for title, value in _rows(found, told, planned, use) if value])
    click.echo(text, nl=False)


@dataclass(frozen=True)
class _Use:
    """What memory is told for: a context in tokens, shared by so many slots."""

    context: int
    parallel: int


def _fields(told: Known) -> dict[str, Any]:
    """Return what was found under the names that the status of a Model has for it."""
    plain = {"sizeBytes": told.size_bytes, "sha256": told.sha256, "etag": told.etag, "revision": told.revision}
    records = {"gguf": told.facts, "memory": told.memory}
    packed = {"layout"}  # for the operator alone; it is what is printed beside it
    shown = {
        name: one.model_dump(by_alias=True, exclude_none=True, exclude=packed) for name, one in records.items() if one
    }
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


def _plan(planned: Buffers, use: _Use) -> dict[str, Any]:
    """Return the memory needed for this use, in bytes."""
    from llmkube.cli.fit.verdict import buffers_of

    sizes = {"buffers": buffers_of(planned), "total": planned.total}
    return {"contextSize": use.context, "parallel": use.parallel, **sizes}


def _rows(found: Resolved, told: Known, planned: Buffers, use: _Use) -> list[tuple[str, object]]:
    """Return the lines of the table; those that the file says nothing of are empty."""
    facts = told.facts
    assert facts is not None  # noqa: S101 - a source without facts was refused before
    experts = facts.experts and f"{facts.experts}, {facts.experts_used or '?'} used per token"
    slots = f"{use.parallel} slot{'s' if use.parallel > 1 else ''}"
    length = told.size_bytes and f"{size(told.size_bytes)} ({told.size_bytes} bytes)"
    return [
        ("NAME", facts.name),
        ("ARCHITECTURE", facts.architecture),
        ("PARAMETERS", short_count(facts.parameters)),
        ("QUANTIZATION", facts.quantization),
        ("CONTEXT", facts.context_length),
        ("LAYERS", facts.block_count),
        ("EMBEDDING", facts.embedding_length),
        ("HEADS", facts.head_count),
        ("KV HEADS", facts.head_count_kv),
        ("VOCABULARY", facts.vocabulary_size),
        ("EXPERTS", experts),
        ("LICENSE", facts.license),
        ("LICENSE LINK", found.facts and found.facts.license_link),
        ("CHAT TEMPLATE", "yes" if facts.chat_template else "no"),
        ("FILES", found.files if found.files > 1 else None),
        ("SIZE", length),
        ("SHA256", told.sha256),
        ("REVISION", told.revision),
        ("MEMORY", f"{format_bytes(planned.total)} with {use.context} tokens of context, {slots}, f16 cache"),
        ("  MODEL", format_bytes(planned.model)),
        ("  KV CACHE", format_bytes(planned.kv + planned.kv_swa)),
        ("  STATES", planned.recurrent and format_bytes(planned.recurrent)),
        ("  COMPUTE", format_bytes(planned.compute + planned.output)),
    ]
