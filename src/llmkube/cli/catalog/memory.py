"""What a model of the catalogue needs in memory, planned from its recorded numbers: there is no file yet.

The tensors are those that llama-quantize would make, so the weights are what a file of that quantisation has, give or
take what its publisher chose differently (an importance matrix moves some tensors by a type).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.gguf.facts import ModelFacts, facts
from llmkube.gguf.outline import outline
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions
from llmkube.gguf.quantize import requantized

if TYPE_CHECKING:
    from llmkube.cli.catalog.entries import Entry, Quantization

CONTEXTS = (4096, 8192, 32_768, 131_072)
LISTED = 8192


def facts_of(entry: Entry, quantization: Quantization) -> ModelFacts:
    """The facts that the header of this file would state."""
    described = outline(entry.architecture, entry.header, vocabulary=entry.vocabulary, tied=entry.tied)
    return facts(requantized(described, quantization.name))


def contexts(entry: Entry) -> tuple[int, ...]:
    """The columns of the table, in tokens: round ones up to what the model was trained for, at least one."""
    return tuple(one for one in CONTEXTS if one <= entry.context_length) or (entry.context_length,)


def needed(entry: Entry, quantization: Quantization, context: int) -> int:
    """Bytes where the whole model is on one device: weights, KV cache in f16, compute, output; one slot."""
    return plan(facts_of(entry, quantization), EngineOptions(context=min(context, entry.context_length))).total


def table(entry: Entry) -> dict[str, dict[int, int]]:
    """Bytes by quantisation and context."""
    return {
        one.name: {context: needed(entry, one, context) for context in contexts(entry)} for one in entry.quantizations
    }
