"""What a model needs in memory, in bytes: weights, keys and values, working memory, output.

Reproduces the sizes that llama.cpp (b11434 to b11669) logs for them. The compute part, with flash attention, is an
estimate: within 1 % of the log for dense models whose feed-forward is wider than their embedding, above it for others
and for mixtures of experts. Not in it: the states of recurrent layers, and that MLA keeps keys only (so too much is
planned there). Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.gguf.facts import ModelFacts

CELLS = 256
BYTES_PER_VALUE: Mapping[str, float] = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}
# The engine's own patterns where a header does not say: one layer of so many attends to everything.
WINDOW_PATTERNS: Mapping[str, int] = {
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "gpt-oss": 2,
    "cohere2": 4,
    "llama4": 4,
    "exaone4": 4,
    "olmo2": 4,
    "plamo3": 8,
}


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    weights: int
    kv: int
    compute: int
    output: int

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.compute + self.output


def estimate(
    facts: ModelFacts,
    *,
    context: int,
    parallel: int = 1,
    cache_type_k: str = "f16",
    cache_type_v: str = "f16",
    gpu_layers: int = 0,
    ubatch: int = 512,
) -> MemoryEstimate:
    """For a context of so many tokens, shared by so many slots. ValueError for a cache type that llama.cpp has not."""
    duplicated = facts.output_bytes if gpu_layers and facts.is_tied else 0
    return MemoryEstimate(
        weights=facts.weights_bytes + duplicated,
        kv=kv_bytes(facts, context=context, parallel=parallel, types=(cache_type_k, cache_type_v), ubatch=ubatch),
        compute=compute_bytes(facts, context=context, parallel=parallel, ubatch=ubatch),
        output=4 * parallel * (facts.vocabulary_size or 0),
    )


def kv_bytes(facts: ModelFacts, *, context: int, parallel: int, types: tuple[str, str], ubatch: int) -> int:
    """Keys and values of all layers; a sliding window bounds the cells of its layers."""
    per_slot = _padded(-(-context // parallel))
    windowed = windowed_cells(facts, per_slot, ubatch)
    cells = [(windowed if slide else per_slot) * parallel for slide in sliding_layers(facts)]
    width = _widths(facts)
    per_head = width[0] * bytes_of(types[0]) + width[1] * bytes_of(types[1])
    return int(sum(count * heads * per_head for count, heads in zip(cells, facts.head_counts_kv, strict=False)))


def kv_bytes_per_token(facts: ModelFacts) -> int:
    """Keys and values of one token at f16, in all layers."""
    return int(sum(facts.head_counts_kv) * sum(_widths(facts)) * bytes_of("f16"))


def compute_bytes(facts: ModelFacts, *, context: int, parallel: int, ubatch: int) -> int:
    """Working memory with flash attention: activations of one batch, and the f16 masks of attention."""
    per_slot = _padded(-(-context // parallel))
    masks = per_slot + (windowed_cells(facts, per_slot, ubatch) if any(sliding_layers(facts)) else 0)
    return ubatch * (4 * _live_values(facts) + 2 * masks)


def _live_values(facts: ModelFacts) -> int:
    """How many f32 activations of one token live at once, at the most: the counts fit what the engine logs."""
    embedding = facts.embedding_length or 0
    dense = facts.feed_forward_length or 0
    used = facts.experts_used or 0
    sparse = (facts.expert_feed_forward_length or dense) * used
    feed_forward = 3 * (max(dense, sparse) or 4 * embedding) + 5 * embedding
    attention = 7 * embedding
    mixing = (2 * used + 7) * embedding if used else 0
    return max(feed_forward, attention, mixing)


def windowed_cells(facts: ModelFacts, per_slot: int, ubatch: int) -> int:
    """How many cells a slot of a layer with a sliding window has, of `per_slot` otherwise."""
    return _padded(min(per_slot, (facts.sliding_window or per_slot) + ubatch))


def sliding_layers(facts: ModelFacts) -> tuple[bool, ...]:
    """Which layers attend to a window only; none where the engine is not known to honour the window."""
    layers = len(facts.head_counts_kv)
    pattern = facts.sliding_window_pattern
    if not facts.sliding_window:
        return (False,) * layers
    if isinstance(pattern, tuple):
        return pattern[:layers] + (False,) * (layers - len(pattern))
    period = WINDOW_PATTERNS.get(facts.architecture, 1) if pattern is None else pattern
    return tuple(period == 0 or layer % period != period - 1 for layer in range(layers))


def bytes_of(cache_type: str) -> float:
    try:
        return BYTES_PER_VALUE[cache_type]
    except KeyError:
        known = ", ".join(BYTES_PER_VALUE)
        raise ValueError(f"cache type {cache_type!r}: expected one of {known}") from None


def _widths(facts: ModelFacts) -> tuple[int, int]:
    """Numbers per head: of a key and of a value."""
    default = (facts.embedding_length or 0) // (facts.head_count or 1)
    return facts.key_length or default, facts.value_length or default


def _padded(count: int) -> int:
    return -(-count // CELLS) * CELLS
