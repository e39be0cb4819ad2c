"""What a header says about a model, as checked values. Keys: ggml's docs/gguf.md. A wrong type is an error."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.gguf.errors import GGUFError
from llmkube.gguf.keys import Keys
from llmkube.gguf.tables import GUESSED, tables
from llmkube.gguf.tokenizer import Tokenizer, tokenizer
from llmkube.gguf.weights import Weights, weights
from llmkube.models.licence import stated

if TYPE_CHECKING:
    from llmkube.gguf.reader import Header

MOST_LAYERS = 1024
ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Attention:
    """Numbers per layer and per head; None is "the header does not say". `pattern`: which layers see a window only.

    `mla`: keys and values are compressed into one row per token, whose heads are of these lengths when unpacked.
    """

    heads: tuple[int, ...]
    heads_kv: tuple[int, ...]
    key_length: int | None = None
    value_length: int | None = None
    key_length_swa: int | None = None
    value_length_swa: int | None = None
    key_length_mla: int | None = None
    value_length_mla: int | None = None
    kv_lora_rank: int | None = None
    sliding_window: int | None = None
    pattern: tuple[bool, ...] | int | None = None
    shared_kv_layers: int = 0
    indexer_key_length: int = 0
    causal: bool | None = None


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What sizes the state that a recurrent layer keeps for a sequence; 0 is "has none of it"."""

    conv_kernel: int = 0
    inner_size: int = 0
    state_size: int = 0
    group_count: int = 0
    time_step_rank: int = 0
    shortconv_cache: int = 0
    wkv_head_size: int = 0
    token_shift_count: int = 0
    kda_head_size: int = 0
    full_attention_interval: int = 0
    layers: tuple[bool, ...] | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """None is "the header does not say". `nextn_layers`: of `block_count`, those that only draft further tokens.

    `kind`: general.type (model, adapter, mmproj); `adapter`: adapter.type (lora). Of a draft that reads what layers of
    another model compute: `target_width`, how many numbers that has for a token, and `target_layer`, the last one read.
    """

    architecture: str
    name: str | None
    parameters: int
    quantization: str | None
    context_length: int | None
    block_count: int | None
    embedding_length: int | None
    embedding_length_out: int | None
    feed_forward_lengths: tuple[int, ...]
    expert_feed_forward_length: int | None
    vocabulary_size: int | None
    experts: int | None
    experts_used: int | None
    nextn_layers: int
    pooling: int | None
    uses_layer_norm: bool
    license: str | None
    chat_template: bool
    split_count: int | None
    attention: Attention
    recurrence: Recurrence
    weights: Weights
    license_link: str | None = None
    kind: str | None = None
    adapter: str | None = None
    tokenizer: Tokenizer | None = None
    target_width: int | None = None
    target_layer: int | None = None

    @property
    def head_count(self) -> int | None:
        return max(self.attention.heads, default=None)

    @property
    def head_count_kv(self) -> int | None:
        return max(self.attention.heads_kv, default=None)

    @property
    def feed_forward_length(self) -> int | None:
        return max(self.feed_forward_lengths, default=None)

    @property
    def weights_bytes(self) -> int:
        """Of all tensors."""
        return self.weights.total


def facts(header: Header) -> ModelFacts:
    """The facts of a model's first (or only) file; GGUFError when it names no architecture."""
    keys = Keys(header.metadata)
    architecture = _architecture(keys)
    own = Keys(header.metadata, f"{architecture}.")
    layers = own.count("block_count", MOST_LAYERS)
    return ModelFacts(
        architecture=architecture,
        name=keys.text("general.name"),
        parameters=sum(tensor.elements for tensor in header.tensors),
        quantization=_quantization(keys, header),
        context_length=own.count("context_length"),
        block_count=layers,
        embedding_length=own.count("embedding_length"),
        embedding_length_out=own.count("embedding_length_out"),
        feed_forward_lengths=own.counts("feed_forward_length", layers),
        expert_feed_forward_length=own.count("expert_feed_forward_length"),
        vocabulary_size=keys.length("tokenizer.ggml.tokens") or own.count("vocab_size"),
        experts=own.count("expert_count"),
        experts_used=own.count("expert_used_count"),
        nextn_layers=own.count("nextn_predict_layers") or 0,
        pooling=own.count("pooling_type"),
        uses_layer_norm=own.has("attention.layer_norm_epsilon") and not own.has("attention.layer_norm_rms_epsilon"),
        attention=_attention(own, layers),
        recurrence=_recurrence(own, layers),
        weights=weights(header.tensors, layers or 0),
        tokenizer=tokenizer(keys),
        target_width=own.count("target_hidden_size"),
        target_layer=own.count("target_layers"),
        **_of_file(keys),
    )


def _of_file(keys: Keys) -> dict[str, Any]:
    """What the file says of itself, whatever its architecture."""
    return {
        "license": stated(keys.text("general.license"), keys.text("general.license.name")),
        "license_link": keys.text("general.license.link"),
        "chat_template": bool(keys.text("tokenizer.chat_template")),
        "split_count": keys.count("split.count") or None,
        "kind": keys.text("general.type"),
        "adapter": keys.text("adapter.type"),
    }


def _architecture(keys: Keys) -> str:
    found = keys.text("general.architecture")
    if not found:
        message = "GGUF metadata 'general.architecture': expected the name of an architecture, found nothing"
        raise GGUFError("MissingMetadata", f"{message}; the file holds no model, or is a later part of a split one")
    if not ARCHITECTURE.fullmatch(found):
        message = f"GGUF metadata 'general.architecture': expected letters, digits, . _ -, found {found[:60]!r}"
        raise GGUFError("Malformed", message)
    return found


def _attention(own: Keys, layers: int | None) -> Attention:
    heads = own.counts("attention.head_count", layers)
    return Attention(
        heads=heads,
        heads_kv=own.counts("attention.head_count_kv", layers) or heads,
        key_length=own.count("attention.key_length"),
        value_length=own.count("attention.value_length"),
        key_length_swa=own.count("attention.key_length_swa"),
        value_length_swa=own.count("attention.value_length_swa"),
        key_length_mla=own.count("attention.key_length_mla"),
        value_length_mla=own.count("attention.value_length_mla"),
        kv_lora_rank=own.count("attention.kv_lora_rank"),
        sliding_window=own.count("attention.sliding_window"),
        pattern=own.pattern("attention.sliding_window_pattern", layers),
        shared_kv_layers=own.count("attention.shared_kv_layers") or 0,
        indexer_key_length=own.count("attention.indexer.key_length") or 0,
        causal=own.flag("attention.causal"),
    )


def _recurrence(own: Keys, layers: int | None) -> Recurrence:
    return Recurrence(
        conv_kernel=own.count("ssm.conv_kernel") or 0,
        inner_size=own.count("ssm.inner_size") or 0,
        state_size=own.count("ssm.state_size") or 0,
        group_count=own.count("ssm.group_count") or 0,
        time_step_rank=own.count("ssm.time_step_rank") or 0,
        shortconv_cache=own.count("shortconv.l_cache") or 0,
        wkv_head_size=own.count("wkv.head_size") or 0,
        token_shift_count=own.count("token_shift_count") or 0,
        kda_head_size=own.count("kda.head_dim") or 0,
        full_attention_interval=own.count("full_attention_interval") or 0,
        layers=own.flags("attention.recurrent_layers", layers),
    )


def _quantization(keys: Keys, header: Header) -> str | None:
    """The file type the header states, else the type of most of the weights' bytes."""
    stated = keys.count("general.file_type")
    named = tables().file_types.get(stated % GUESSED) if stated is not None else None
    if named is not None:
        return named
    sizes: Counter[str] = Counter()
    for tensor in header.tensors:
        sizes[tensor.type] += tensor.size
    return sizes.most_common(1)[0][0] if sizes else None
