"""Context and batch sizes: what the person says, within what the model was trained for and what the engine needs.

effective_context(spec: InferenceServiceSpec, facts: GGUFFacts | None) -> Context(size: int, clamped: bool)
batches(spec: InferenceServiceSpec, *, context: int, pooling: int | None) -> Batches(batch, ubatch)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmkube.desired.engine.modes import LAST

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import GGUFFacts

DEFAULT_CONTEXT = 8192
BATCH, UBATCH = 2048, 512
"""The engine's own defaults."""


class Context(NamedTuple):
    """Tokens of context over all slots, and whether that is less than was asked for."""

    size: int
    clamped: bool


class Batches(NamedTuple):
    """Tokens per logical and per physical batch; None: the engine's default."""

    batch: int | None
    ubatch: int | None


def effective_context(spec: InferenceServiceSpec, facts: GGUFFacts | None) -> Context:
    """Return the context to run with. Each slot gets its share, and can use no more than the model was trained for."""
    slots = spec.parallel or 1
    wanted = spec.context_size or DEFAULT_CONTEXT * slots
    trained = (facts.context_length if facts else None) or 0
    size = min(wanted, trained * slots) if trained else wanted
    return Context(size, clamped=spec.context_size is not None and size < wanted)


def batches(spec: InferenceServiceSpec, *, context: int, pooling: int | None) -> Batches:
    """Return the sizes. To embed or to rank a text its tokens must come in one physical batch: the engine answers
    "input is too large to process" otherwise (tools/server), so that by default it holds all that a slot can.
    """
    if spec.mode == "chat" or pooling == LAST:  # the only one for which a text may come in several
        return Batches(spec.batch_size, spec.ubatch_size)
    ubatch = spec.ubatch_size or spec.batch_size or max(UBATCH, context // (spec.parallel or 1))
    return Batches(max(spec.batch_size or ubatch, ubatch), ubatch)
