"""Whether a catalogue still says what its sources have: each file's header is read and held against its entry.

Nothing is downloaded. The catalogue that is shipped was written without its sources: where they can be reached, this
is how it is kept true; own catalogues too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.cli.catalog import memory
from llmkube.cli.errors import CommandError
from llmkube.desired.architectures import PROJECTOR
from llmkube.models.licence import is_same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.cli.catalog.entries import Entry, Quantization
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.resolve import Resolved


@dataclass(frozen=True, slots=True)
class Checked:
    """A file and how its source differs from what the entry says, a line each; empty when it does not."""

    entry: Entry
    quantization: Quantization
    differences: tuple[str, ...]


def checked(entry: Entry, quantization: Quantization) -> Checked:
    """Ask the source of one file; one that does not answer is a difference too."""
    from llmkube.cli.resolving import resolved

    try:
        found, facts = resolved(entry.source_of(quantization))
        lines = [*differences(entry, quantization, found, facts)]
        if entry.mmproj and quantization is entry.quantizations[0]:
            kind = resolved(entry.mmproj)[1].architecture
            lines += [] if kind == PROJECTOR else [f"mmproj: expected a projector ({PROJECTOR}), the file is {kind}"]
    except CommandError as error:
        return Checked(entry, quantization, (error.message,))
    return Checked(entry, quantization, tuple(lines))


def differences(entry: Entry, quantization: Quantization, found: Resolved, facts: ModelFacts) -> Iterator[str]:
    """Yield a line for each field in which the source differs. Digest and size count where both sides state them."""
    planned = memory.facts_of(entry, quantization)
    pairs: dict[str, tuple[object, object]] = {
        "sha256": (quantization.sha256 if found.sha256 else None, found.sha256),
        "sizeBytes": (quantization.size_bytes if found.size_bytes else None, found.size_bytes),
        "quantizations.name": (quantization.name, facts.quantization),
        "architecture": (entry.architecture, facts.architecture),
        "parameters": (entry.parameters, facts.parameters),
        "vocabulary": (entry.vocabulary, facts.vocabulary_size),
        "tied": (entry.tied, bool(facts.weights.tied)),
        "header.context_length": (entry.context_length, facts.context_length),
        "header.block_count": (planned.block_count, facts.block_count),
        "header.embedding_length": (planned.embedding_length, facts.embedding_length),
        "header.feed_forward_length": (planned.feed_forward_length, facts.feed_forward_length),
        "header.attention.head_count": (planned.head_count, facts.head_count),
        "header.attention.head_count_kv": (planned.attention.heads_kv, facts.attention.heads_kv),
        "header.attention.sliding_window": (planned.attention.sliding_window, facts.attention.sliding_window),
    }
    if facts.license and not is_same(entry.license, facts.license):
        yield f"license: the catalogue says {entry.license}, the file {facts.license}"
    for name, (said, has) in pairs.items():
        if said is not None and said != has:
            yield f"{name}: the catalogue says {said}, the file {has}"
