"""The graph of one layer's attention, step by step as the engine makes it (llama.cpp's src/llama-graph.cpp). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmkube.gguf.plan.batch import Batch, Inputs
    from llmkube.gguf.plan.graph import Graph, Value
    from llmkube.gguf.weights import Block


@dataclass(frozen=True, slots=True)
class Heads:
    """How many heads a layer has, and how many values one head of a query or key, and of a value, has."""

    count: int
    count_kv: int
    key: int
    value: int

    @property
    def queries(self) -> int:
        return self.count * self.key

    @property
    def keys(self) -> int:
        return self.count_kv * self.key

    @property
    def values(self) -> int:
        return self.count_kv * self.value


@dataclass(frozen=True, slots=True)
class Attending:
    """A layer that attends, in a batch."""

    graph: Graph
    batch: Batch
    inputs: Inputs
    block: Block
    heads: Heads
    slides: bool

    @property
    def mask(self) -> Value:
        found = self.inputs.mask_swa if self.slides else self.inputs.mask
        return found or self.inputs.positions

    @property
    def cells(self) -> int:
        return self.batch.sliding if self.slides else self.batch.full


def attend(at: Attending, hidden: Value, width: int) -> Value:
    """From the normalised hidden state to what is added to it, `width` numbers for a token."""
    query, key, value = _projected(at, hidden)
    graph = at.graph
    if key is not None:
        graph.use(graph.view(key), at.inputs.written)
    if value is not None:
        graph.use(graph.view(value), at.inputs.written)
    mixed = _mixed(at, query)
    return graph.make(at.batch.floats(width), graph.view(mixed))


def _projected(at: Attending, hidden: Value) -> tuple[Value, Value | None, Value | None]:
    """Queries, values and keys in the engine's order; keys and values are None where an earlier layer's are used."""
    graph, heads, size = at.graph, at.heads, at.batch.floats
    if at.block.has("attn_qkv"):
        joined = graph.make(size(heads.queries + heads.keys + heads.values), hidden)
        query, value, key = graph.view(joined), graph.view(joined), graph.view(joined)
        return _turned(at, query, heads.queries), _turned(at, key, heads.keys, "attn_k_norm"), value
    query = _turned(at, graph.view(graph.make(size(heads.queries), hidden)), heads.queries)
    if not at.block.has("attn_k"):
        return query, None, None
    value = graph.view(graph.make(size(heads.values), hidden))
    key = _turned(at, graph.view(graph.make(size(heads.keys), hidden)), heads.keys, "attn_k_norm")
    return query, key, value


def _turned(at: Attending, value: Value, width: int, norm: str = "attn_q_norm") -> Value:
    """Heads rotated by position. What was projected is a view of it, so the first operation takes memory of its own."""
    result = at.graph.make(at.batch.floats(width), value, at.inputs.positions)
    return at.graph.update(at.graph.update(result), at.inputs.positions) if at.block.has(norm) else result


def _mixed(at: Attending, query: Value) -> Value:
    """The values of the cells that each token sees, weighted."""
    graph, heads = at.graph, at.heads
    size = at.batch.floats(heads.count * heads.value)
    if at.batch.flash:
        return graph.make(size, graph.view(query), at.mask)
    matrix = graph.make(at.batch.floats(at.cells * heads.count), graph.view(query))
    weighted = graph.make(size, graph.update(matrix, at.mask))
    return graph.make(size, graph.view(weighted))
