"""Bytes of keys and values, and of recurrent states, layer by layer (llama.cpp's src/llama-kv-cache*.cpp). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.gguf.plan.layers import layers, window
from llmkube.gguf.plan.options import CACHE_TYPES, QUANTIZED, QUANTIZED_BLOCK, PlanError

if TYPE_CHECKING:
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.layers import Layer
    from llmkube.gguf.plan.options import EngineOptions

PAD = 256
F32 = 4


@dataclass(frozen=True, slots=True)
class Cells:
    """How many tokens a layer has room for in one stream, and how many streams there are. `context`: of all slots."""

    full: int
    sliding: int
    streams: int
    context: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes of one layer: at most one of `kv` and `kv_swa` is more than 0."""

    kv: int = 0
    kv_swa: int = 0
    recurrent: int = 0


def cells(facts: ModelFacts, options: EngineOptions) -> Cells:
    """Room in the cache: slots have a stream each, or share one; a window needs room for itself and one batch."""
    asked = padded(options.context or facts.context_length or PAD)
    streams = 1 if options.kv_unified else options.parallel
    full = asked if options.kv_unified else padded(asked // options.parallel)
    seen = window(facts) * (options.parallel if options.kv_unified else 1)
    sliding = full if options.swa_full else padded(min(full, seen + ubatch(facts, options)))
    return Cells(full, sliding, streams, full * streams)


def ubatch(facts: ModelFacts, options: EngineOptions) -> int:
    """Tokens that are worked on at once; a context shorter than a batch makes it shorter."""
    asked = options.context or facts.context_length or PAD
    batch = options.batch if facts.attention.causal is False else min(options.batch, asked)
    return min(batch, options.ubatch)


def kept(facts: ModelFacts, options: EngineOptions) -> tuple[Kept, ...]:
    """What each layer keeps. PlanError for a cache type whose blocks the heads do not fill."""
    found = layers(facts)
    _check_blocks(found, options)
    return kept_of(found, facts, options)


def kept_of(found: tuple[Layer, ...], facts: ModelFacts, options: EngineOptions) -> tuple[Kept, ...]:
    """What these layers keep, or the parts of them that one GPU has."""
    room = cells(facts, options)
    # Without flash attention values are stored crosswise, in rows as long as the widest layer's.
    widest = 0 if options.uses_flash_attention else max((layer.value for layer in found), default=0)
    kinds = {layer: _kept(layer, room, widest, options) for layer in dict.fromkeys(found)}
    return tuple(kinds[layer] for layer in found)


def _kept(layer: Layer, room: Cells, widest: int, options: EngineOptions) -> Kept:
    per_key, per_value = CACHE_TYPES[options.cache_type_k], CACHE_TYPES[options.cache_type_v]
    value = max(layer.value, widest) if layer.value else 0
    count = (room.sliding if layer.slides else room.full) * room.streams
    size = int(count * (layer.key * per_key + value * per_value))
    state = layer.state * F32 * options.parallel
    return Kept(0 if layer.slides else size, size if layer.slides else 0, state)


def bytes_per_token(facts: ModelFacts) -> int:
    """Keys and values of one token at f16, in all layers that keep them."""
    return int(sum(layer.key + layer.value for layer in layers(facts)) * CACHE_TYPES["f16"])


def _check_blocks(found: tuple[Layer, ...], options: EngineOptions) -> None:
    for name, kind in (("cache_type_k", options.cache_type_k), ("cache_type_v", options.cache_type_v)):
        widths = {layer.key if name == "cache_type_k" else layer.value for layer in found}
        odd = next((width for width in sorted(widths) if width % QUANTIZED_BLOCK), None)
        if kind in QUANTIZED and odd is not None:
            message = f"{name}: expected rows of whole blocks of {QUANTIZED_BLOCK} values for {kind}, found {odd}"
            raise PlanError(f"{message}; take f16")


def padded(count: int) -> int:
    return -(-count // PAD) * PAD
