"""What each layer keeps for the tokens of a context: keys and values of all of them, of a window, or a state.

The rules and their defaults are the engine's (llama.cpp's src/models/*.cpp and llama_model::create_memory). Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.gguf.facts import ModelFacts, Recurrence


class Window(NamedTuple):
    """How an architecture slides where its header says nothing: one layer of `period` sees everything.

    `period` 0: only a header that lists the layers is honoured. `size` 0: only the header's; `is_fixed`: never its.
    """

    period: int
    dense_first: bool = False
    size: int = 0
    is_fixed: bool = False


WINDOWS: Mapping[str, Window] = {
    "afmoe": Window(4),
    "cohere2": Window(4),
    "cohere2moe": Window(4, dense_first=True),
    "exaone-moe": Window(4, size=128),
    "exaone4": Window(4, size=4096),
    "gemma-embedding": Window(6),
    "gemma2": Window(2, size=4096),
    "gemma3": Window(6),
    "gemma3n": Window(5),
    "gemma4": Window(0),
    "gpt-oss": Window(2),
    "granite_swa": Window(0),
    "laguna": Window(4, dense_first=True),
    "llama4": Window(4, size=8192, is_fixed=True),
    "maple": Window(0),
    "mellum": Window(4),
    "mimo2": Window(0),
    "modern-bert": Window(3, dense_first=True),
    "muse-glimmer": Window(4),
    "olmo2": Window(4),
    "plamo3": Window(8),
    "smallthinker": Window(4, dense_first=True, size=4096, is_fixed=True),
    "spark2_5": Window(0),
    "step35": Window(0),
}
EXAONE4_SLIDING = 64
"""Layers of the one EXAONE 4 whose window slides."""
RECURRENT = frozenset({"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"})
# Recurrent wherever a layer has no key-value heads.
BY_HEADS = frozenset(
    {"jamba", "lfm2", "lfm2moe", "granitehybrid", "plamo2", "nemotron_h", "nemotron_h_moe", "kimi-linear", "kimi-k3"}
    | {"glm5-next", "bailingmoe3"}
)
# Recurrent but for one layer of so many, unless the header lists them.
BY_INTERVAL: Mapping[str, int] = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "qwen4exp": 4, "minimax-01": 8}
# No cache: a text is one batch, whose tokens all see each other.
WITHOUT_CACHE = frozenset(
    {"bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert"}
    | {"gemma-embedding", "dream", "llada", "llada-moe", "rnd1", "clef", "wavtokenizer-dec"}
)
# Of those, what works out vectors only: no matrix of the vocabulary after the last layer.
WITHOUT_OUTPUT = WITHOUT_CACHE - {"gemma-embedding", "dream", "llada", "llada-moe", "rnd1", "clef", "wavtokenizer-dec"}
DRAFTS = frozenset({"eagle3", "dflash"})
"""What only drafts, from what layers of the model it was made for compute, with that model's vocabulary."""
SHARED_FROM = {"gemma3n": 20}
"""The layer from which on an architecture uses the keys and values of earlier layers."""


# A second, smaller key per token, by which the tokens that are looked at are chosen.
INDEXED = frozenset({"deepseek32", "glm-dsa"})


@dataclass(frozen=True, slots=True)
class Layer:
    """Values that a layer keeps: `key` and `value` for a token, `state` for a sequence. `slides`: of a window only."""

    key: int = 0
    value: int = 0
    state: int = 0
    slides: bool = False

    @property
    def caches(self) -> bool:
        return self.key + self.value > 0


def layers(facts: ModelFacts) -> tuple[Layer, ...]:
    """One for each layer of the header; those that only draft further tokens keep nothing."""
    count = facts.block_count or 0
    slides, recurs = sliding(facts), recurrent(facts)
    return tuple(
        _layer(facts, index, slides=slides[index], recurs=recurs[index]) if index < trunk(facts) else Layer()
        for index in range(count)
    )


def trunk(facts: ModelFacts) -> int:
    """How many layers answer; those behind them draft further tokens, and are not loaded for anything else."""
    count = facts.block_count or 0
    return count - min(facts.nextn_layers, count) or count


def _layer(facts: ModelFacts, index: int, *, slides: bool, recurs: bool) -> Layer:
    state = sum(state_parts(facts)) if recurs else 0
    if (recurs and facts.architecture != "falcon-h1") or not _caches(facts, index):
        return Layer(state=state, slides=slides and not recurs)
    width = head_lengths(facts, slides=slides)
    heads = facts.attention.heads_kv[index]
    indexer = facts.attention.indexer_key_length if facts.architecture in INDEXED else 0
    return Layer(heads * width[0] + indexer, 0 if is_mla(facts) else heads * width[1], state, slides)


def _caches(facts: ModelFacts, index: int) -> bool:
    """Whether an attending layer has keys and values of its own: not those that share an earlier layer's."""
    shared = facts.attention.shared_kv_layers
    own = SHARED_FROM.get(facts.architecture, (facts.block_count or 0) - shared)
    return facts.architecture not in WITHOUT_CACHE and index < own and index < len(facts.attention.heads_kv)


def is_mla(facts: ModelFacts) -> bool:
    """Whether a token's keys and values are one compressed row, kept as a key alone."""
    return bool(facts.attention.key_length_mla and facts.attention.value_length_mla)


def head_lengths(facts: ModelFacts, *, slides: bool) -> tuple[int, int]:
    """Values of one head: of a key, and of a value."""
    found = facts.attention
    default = (facts.embedding_length or 0) // ((found.heads or (1,))[0] or 1)
    key, value = found.key_length or default, found.value_length or default
    return (found.key_length_swa or key, found.value_length_swa or value) if slides else (key, value)


def window(facts: ModelFacts) -> int:
    """Tokens that a sliding layer sees; 0 where the engine does not honour a window."""
    known = WINDOWS.get(facts.architecture)
    stated = facts.attention.sliding_window
    if facts.architecture == "lfm2":
        return stated or 0
    if known is None or (facts.architecture == "exaone4" and facts.block_count != EXAONE4_SLIDING):
        return 0
    if known.is_fixed:
        return known.size if stated or (facts.architecture == "llama4" and stated is None) else 0
    return known.size if stated is None else stated


def sliding(facts: ModelFacts) -> tuple[bool, ...]:
    """Which layers see a window only."""
    count = facts.block_count or 0
    if not window(facts):
        return (False,) * count
    if facts.architecture == "lfm2":
        return tuple(not recurs for recurs in recurrent(facts))
    stated, known = facts.attention.pattern, WINDOWS[facts.architecture]
    if isinstance(stated, tuple):
        return stated[:count] + (False,) * (count - len(stated))
    period = known.period if stated is None else stated
    if known.period == 0:
        return (False,) * count
    full = 0 if known.dense_first else period - 1
    return tuple(period == 0 or index % period != full for index in range(count))


def recurrent(facts: ModelFacts) -> tuple[bool, ...]:
    """Which layers keep a state for each sequence."""
    count, name = facts.block_count or 0, facts.architecture
    if name in RECURRENT or name == "falcon-h1":
        return (True,) * count
    if name in BY_HEADS:
        return tuple(not heads and not _only_feeds(facts, index) for index, heads in _heads_kv(facts))
    if name in BY_INTERVAL:
        return facts.recurrence.layers or _all_but_each(
            facts.recurrence.full_attention_interval or BY_INTERVAL[name], count
        )
    return (False,) * count


def _heads_kv(facts: ModelFacts) -> list[tuple[int, int]]:
    found = facts.attention.heads_kv
    return [(index, found[index] if index < len(found) else 0) for index in range(facts.block_count or 0)]


def _only_feeds(facts: ModelFacts, index: int) -> bool:
    """Nemotron-H has layers of a feed-forward network alone."""
    lengths = facts.feed_forward_lengths
    return facts.architecture.startswith("nemotron_h") and index < len(lengths) and lengths[index] > 0


def _all_but_each(interval: int, count: int) -> tuple[bool, ...]:
    return tuple((index + 1) % interval != 0 for index in range(count))


def state_parts(facts: ModelFacts) -> tuple[int, int]:
    """Values of the state of one sequence in one recurrent layer: of its convolution, and of its recurrence."""
    return _state(facts.recurrence, facts.embedding_length or 0, (facts.attention.heads or (0,))[0])


def _state(found: Recurrence, embedding: int, heads: int) -> tuple[int, int]:
    if found.wkv_head_size:
        return (found.token_shift_count or 2) * embedding, embedding * found.wkv_head_size
    if found.shortconv_cache:
        return embedding * (found.shortconv_cache - 1), found.state_size * found.inner_size
    if found.kda_head_size:
        size = heads * found.kda_head_size
        return 3 * (found.conv_kernel - 1 if found.conv_kernel else 3) * size, size * found.kda_head_size
    channels = found.inner_size + 2 * found.group_count * found.state_size
    return max(found.conv_kernel - 1, 0) * channels, found.state_size * found.inner_size
