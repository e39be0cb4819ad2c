"""The graph of one layer's attention, step by step as the engine makes it (llama.cpp's src/llama-graph.cpp). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.gguf.plan.batch import F16
from llmkube.gguf.plan.cache import F32

if TYPE_CHECKING:
    from llmkube.gguf.plan.batch import Batch, Given
    from llmkube.gguf.plan.graph import Graph, Value
    from llmkube.gguf.weights import Block

TURNED = 64
"""Keys and values are rotated before they are quantised when their heads have a multiple of so many values."""
# Architectures without rotary positions: what is projected is used as it is.
WITHOUT_POSITIONS = frozenset({"bert", "jina-bert-v2", "jamba", "gpt2", "starcoder", "bloom", "mpt", "refact"})


@dataclass(frozen=True, slots=True)
class Heads:
    """How many heads a layer has, and how many values one head of a query or key, and of a value, has."""

    count: int
    count_kv: int
    key: int
    value: int


@dataclass(frozen=True, slots=True)
class Attending:
    """A layer that attends, in a batch. `rotates`: whether positions turn its queries and keys.

    `keys_first`: whether keys are worked out before values, as beside a cache with a window, or without a cache.
    `shares`: whether an earlier layer's keys and values are used.
    """

    graph: Graph
    batch: Batch
    given: Given
    block: Block
    heads: Heads
    slides: bool
    rotates: bool
    keys_first: bool
    shares: bool = False

    @property
    def mask(self) -> Value:
        found = self.given.mask_swa if self.slides else self.given.mask
        return found or self.given.positions

    @property
    def cells(self) -> int:
        return self.batch.sliding if self.slides else self.batch.full

    @property
    def latent(self) -> bool:
        return self.block.has("attn_kv_a_mqa")

    @property
    def turns_keys(self) -> bool:
        return self.batch.turns_keys and rotation(self.heads)[0] > 0

    @property
    def turns_values(self) -> bool:
        return self.batch.turns_values and rotation(self.heads)[1] > 0


def attend(at: Attending, hidden: Value) -> Value:
    """From the normalised hidden state to the values of the cells that each token sees, weighted."""
    if at.latent:
        return _latent(at, hidden)
    graph, floats, heads = at.graph, at.batch.floats, at.heads
    query, key, value, gate = _projected(at, hidden)
    if at.turns_keys:
        query, key = _again(at, query, heads.count * heads.key), key and _again(at, key, heads.count_kv * heads.key)
    if at.turns_values:
        value = value and _again(at, value, heads.count_kv * heads.value)
    if at.batch.caches:
        for written in (key, value):
            if written is not None:
                graph.use(graph.view(written), at.given.written)
        mixed = _mixed(at, query)
    else:
        mixed = _mixed(at, query, key, value)
    if at.turns_values:
        mixed = _again(at, mixed, heads.count * heads.value)
    if gate is not None:
        opened = graph.update(graph.make(floats(heads.count * heads.value), gate))
        return graph.update(opened, graph.view(mixed))
    return graph.view(mixed)


def rotation(heads: Heads) -> tuple[int, int]:
    """How many values the matrices have that turn keys, and values; 0 where they are not turned."""
    side = TURNED
    while heads.key and heads.key % (2 * side) == 0:  # a header may say that keys have no values
        side *= 2
    return side**2 * (heads.key % TURNED == 0), TURNED**2 * (heads.value % TURNED == 0)


def _projected(at: Attending, hidden: Value) -> tuple[Value, Value | None, Value | None, Value | None]:
    """Queries, keys, values, and what gates the result; no keys and values where an earlier layer's are used."""
    graph, heads, floats = at.graph, at.heads, at.batch.floats
    queries, keys, values = heads.count * heads.key, heads.count_kv * heads.key, heads.count_kv * heads.value
    if at.block.has("attn_qkv"):
        joined = graph.make(floats(queries + keys + values), hidden)
        query, value, key = graph.view(joined), graph.view(joined), graph.view(joined)
        return _placed(at, query, queries), _placed(at, key, keys, "attn_k_norm"), value, None
    wide = graph.make(floats(max(queries, at.block.rows("attn_q"))), hidden)
    gate = graph.view(wide) if at.block.rows("attn_q") >= 2 * queries else None
    query = _placed(at, graph.view(wide), queries)
    if at.shares or not at.block.has("attn_k"):
        return query, None, None, gate
    if at.block.has("inp_gate"):  # Gemma 3n and 4 scale values too
        key, value = (graph.view(graph.make(floats(width), hidden)) for width in (keys, values))
        return query, _placed(at, key, keys, "attn_k_norm"), graph.make(floats(values), value), gate
    if at.keys_first:
        key = _placed(at, graph.view(graph.make(floats(keys), hidden)), keys, "attn_k_norm")
        return query, key, graph.view(graph.make(floats(values), hidden)), gate
    value = graph.view(graph.make(floats(values), hidden))
    return query, _placed(at, graph.view(graph.make(floats(keys), hidden)), keys, "attn_k_norm"), value, gate


def _placed(at: Attending, value: Value, width: int, norm: str = "attn_q_norm") -> Value:
    """Heads turned by their positions. The first operation on a view takes memory of its own, the next ones that."""
    if at.block.has(norm):
        normal = at.graph.update(at.graph.make(at.batch.floats(width), value))
        return at.graph.update(normal, at.given.positions) if at.rotates else normal
    return at.graph.make(at.batch.floats(width), value, at.given.positions) if at.rotates else value


def _again(at: Attending, value: Value, width: int) -> Value:
    return at.graph.make(at.batch.floats(width), at.graph.view(value))


def _mixed(at: Attending, query: Value, key: Value | None = None, value: Value | None = None) -> Value:
    """The values of the cells that each token sees, weighted: of a cache, or of the batch itself."""
    graph, heads, floats = at.graph, at.heads, at.batch.floats
    own = [(one, at.cells * heads.count_kv * width) for one, width in ((key, heads.key), (value, heads.value)) if one]
    size = floats(heads.count * heads.value)
    if at.batch.flash:
        halves = [graph.make(F16 * count, graph.view(graph.make(F32 * count, graph.view(one)))) for one, count in own]
        return graph.make(size, graph.view(query), at.mask, *halves)
    crosswise = [graph.make(F32 * count, graph.make(F32 * count, graph.view(one))) for one, count in own[1:]]
    filled = [graph.make(F32 * count, graph.view(one)) for one, count in own[:1]]
    matrix = graph.make(floats(at.cells * heads.count), graph.view(query), *filled)
    weights = graph.update(matrix, at.mask)
    return graph.make(size, graph.view(graph.make(size, weights, *crosswise)))


def _latent(at: Attending, hidden: Value) -> Value:
    """Of keys and values that are one compressed row for each token: `key` numbers, `value` of which are the value."""
    graph, floats, heads = at.graph, at.batch.floats, at.heads
    rank, turned = heads.value, heads.key - heads.value
    query = _unpacked(at, hidden)
    absorbed = graph.make(floats(rank * heads.count), graph.view(query))
    placed = graph.make(floats(turned * heads.count), graph.view(query), at.given.positions)
    query = graph.make(floats(heads.key * heads.count), graph.view(absorbed), placed)
    row = graph.make(floats(heads.key), hidden)
    value = graph.update(graph.make(floats(rank), graph.view(row)))
    place = graph.make(floats(turned), graph.view(row), at.given.positions)
    key = graph.make(floats(heads.key), graph.view(value), place)
    graph.use(graph.view(key), at.given.written)
    inner = floats((at.block.rows("attn_v_b") or rank) * heads.count)
    if at.batch.flash:
        mixed = graph.make(floats(rank * heads.count), graph.view(query), at.mask)
        return graph.view(graph.make(inner, graph.view(graph.make(inner, graph.view(mixed)))))
    weights = graph.update(graph.make(floats(at.cells * heads.count), graph.view(query)), at.mask)
    crosswise = graph.make(F16 * at.cells * at.batch.streams * rank)
    mixed = graph.make(floats(rank * heads.count), weights, crosswise)
    return graph.make(inner, graph.view(graph.make(inner, mixed)))


def _unpacked(at: Attending, hidden: Value) -> Value:
    """Queries, which may be compressed too."""
    graph, floats = at.graph, at.batch.floats
    if not at.block.has("attn_q_a"):
        return graph.make(floats(at.block.rows("attn_q")), hidden)
    small = graph.update(graph.update(graph.make(floats(at.block.rows("attn_q_a")), hidden)))
    return graph.make(floats(at.block.rows("attn_q_b")), small)
