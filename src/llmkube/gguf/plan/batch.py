"""One batch of tokens on its way through the model: how many there are, and what each of them may see. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.gguf.plan.cache import F32, cells, padded, ubatch
from llmkube.gguf.plan.layers import DRAFTS, WITHOUT_CACHE
from llmkube.gguf.plan.options import QUANTIZED

if TYPE_CHECKING:
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.graph import Graph, Value
    from llmkube.gguf.plan.options import EngineOptions

F16, I32, I64 = 2, 4, 8


@dataclass(frozen=True, slots=True)
class Batch:
    """`tokens` of `sequences`, of which `outputs` get logits; each sees the `full` or the `sliding` cells of one
    of the `streams` of a cache.

    `flash`: whether attention is one operation, or leaves its matrix in memory. `caches`: whether there is a cache.
    `embeds`: whether vectors are asked for, and no logits are worked out.
    `turns_keys`, `turns_values`: whether they are rotated before they are quantised.
    """

    tokens: int
    sequences: int
    outputs: int
    full: int
    sliding: int
    streams: int
    flash: bool
    caches: bool
    embeds: bool
    turns_keys: bool
    turns_values: bool

    def floats(self, width: int) -> int:
        """Bytes of so many numbers for each token."""
        return F32 * width * self.tokens


@dataclass(frozen=True, slots=True)
class Given:
    """What is filled in from outside before a batch is worked on. No mask where no layer asks for one."""

    positions: Value
    mask: Value | None
    mask_swa: Value | None
    written: Value
    outputs: Value
    rotations: Value


def batch(facts: ModelFacts, options: EngineOptions) -> Batch:
    """The batch that the engine reserves memory for: the largest one of prompts."""
    room = cells(facts, options)
    count = min(room.context, ubatch(facts, options))
    count = -(-count // options.parallel) * options.parallel
    caches = facts.architecture not in WITHOUT_CACHE
    return Batch(
        tokens=count,
        sequences=options.parallel,
        outputs=count if options.embeddings or facts.architecture in DRAFTS else min(count, options.parallel),
        full=room.full if caches else padded(count),
        sliding=room.sliding if caches else padded(count),
        streams=room.streams,
        flash=options.uses_flash_attention,
        caches=caches,
        embeds=options.embeddings,
        turns_keys=caches and options.cache_type_k in QUANTIZED,
        turns_values=caches and options.cache_type_v in QUANTIZED,
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a part of the graph asks for: masks of layers that see everything, and of those that see a window.

    `value_width`: of the widest layer. `rotations`: values of the matrices that turn keys and values.
    """

    full: bool
    sliding: bool
    value_width: int
    rotations: int


def given(graph: Graph, of: Batch, asked: Asked, copies: int) -> Given:
    """Masks have one number for each token and each cell. Without flash attention each value is placed by itself.

    There are so many `copies` of everything; more than one are there for ever.
    """
    size = F16 if of.flash else F32
    places = (1 if of.flash else asked.value_width) * of.caches
    both = asked.full + asked.sliding

    return Given(
        positions=graph.handed(I32 * of.tokens, copies),
        mask=graph.handed(size * of.full * of.tokens, copies) if asked.full else None,
        mask_swa=graph.handed(size * of.sliding * of.tokens, copies) if asked.sliding else None,
        written=graph.handed(I64 * of.tokens * (1 + places) * both, copies),
        outputs=graph.handed(I32 * of.outputs, copies),
        rotations=graph.keep(graph.input(F32 * asked.rotations * both * copies)),
    )
