"""What a header says about a model, as checked values. Keys: ggml's docs/gguf.md. A wrong type is an error."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.gguf.errors import GGUFError
from llmkube.gguf.tables import GUESSED, tables
from llmkube.gguf.values import ArrayStub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.gguf.reader import Header

MOST_LAYERS = 1024
LARGEST_NUMBER = 2**32 - 1
ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """None is "the header does not say". `head_counts_kv`: one number per layer. `weights_bytes`: of all tensors."""

    architecture: str
    name: str | None
    parameters: int
    quantization: str | None
    context_length: int | None
    block_count: int | None
    embedding_length: int | None
    head_count: int | None
    head_count_kv: int | None
    head_counts_kv: tuple[int, ...]
    feed_forward_length: int | None
    expert_feed_forward_length: int | None
    key_length: int | None
    value_length: int | None
    sliding_window: int | None
    sliding_window_pattern: tuple[bool, ...] | int | None
    vocabulary_size: int | None
    experts: int | None
    experts_used: int | None
    license: str | None
    chat_template: bool
    split_count: int | None
    weights_bytes: int
    output_bytes: int
    is_tied: bool


def facts(header: Header) -> ModelFacts:
    """The facts of a model's first (or only) file; GGUFError when it names no architecture."""
    keys = _Keys(header.metadata)
    architecture = _architecture(keys)
    own = _Keys(header.metadata, f"{architecture}.")
    layers = own.count("block_count", MOST_LAYERS)
    heads = own.counts("attention.head_count", layers)
    heads_kv = own.counts("attention.head_count_kv", layers) or heads
    names = {tensor.name: tensor for tensor in header.tensors}
    return ModelFacts(
        architecture=architecture,
        name=keys.text("general.name"),
        parameters=sum(tensor.elements for tensor in header.tensors),
        quantization=_quantization(keys, header),
        context_length=own.count("context_length"),
        block_count=layers,
        embedding_length=own.count("embedding_length"),
        head_count=max(heads, default=None),
        head_count_kv=max(heads_kv, default=None),
        head_counts_kv=heads_kv,
        feed_forward_length=own.count("feed_forward_length"),
        expert_feed_forward_length=own.count("expert_feed_forward_length"),
        key_length=own.count("attention.key_length"),
        value_length=own.count("attention.value_length"),
        sliding_window=own.count("attention.sliding_window"),
        sliding_window_pattern=own.pattern("attention.sliding_window_pattern", layers),
        vocabulary_size=keys.length("tokenizer.ggml.tokens") or own.count("vocab_size"),
        experts=own.count("expert_count"),
        experts_used=own.count("expert_used_count"),
        license=keys.text("general.license"),
        chat_template=bool(keys.text("tokenizer.chat_template")),
        split_count=keys.count("split.count") or None,
        weights_bytes=sum(tensor.size for tensor in header.tensors),
        output_bytes=sum(names[name].size for name in ("token_embd.weight",) if name in names),
        is_tied="output.weight" not in names,
    )


def _architecture(keys: _Keys) -> str:
    found = keys.text("general.architecture")
    if not found:
        message = "GGUF metadata 'general.architecture': expected the name of an architecture, found nothing"
        raise GGUFError("MissingMetadata", f"{message}; the file holds no model, or is a later part of a split one")
    if not ARCHITECTURE.fullmatch(found):
        message = f"GGUF metadata 'general.architecture': expected letters, digits, . _ -, found {found[:60]!r}"
        raise GGUFError("Malformed", message)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class _Keys:
    """Metadata below a prefix, by type."""

    metadata: Mapping[str, Any]
    prefix: str = ""

    def _get(self, key: str) -> Any:
        return self.metadata.get(self.prefix + key)

    def _wrong(self, key: str, expected: str, found: Any) -> GGUFError:
        shown = f"{type(found).__name__} {repr(found)[:60]}"
        return GGUFError("Malformed", f"GGUF metadata {self.prefix + key!r}: expected {expected}, found {shown}")

    def text(self, key: str) -> str | None:
        found = self._get(key)
        if found is not None and not isinstance(found, str):
            raise self._wrong(key, "a string", found)
        return found

    def count(self, key: str, most: int = LARGEST_NUMBER) -> int | None:
        """A whole number; the most of an array."""
        return max(self._numbers(key, most), default=None)

    def counts(self, key: str, layers: int | None) -> tuple[int, ...]:
        """One number per layer: an array, or one number for all of them."""
        numbers = self._numbers(key, LARGEST_NUMBER)
        if not isinstance(self._get(key), list):
            return numbers * (layers or 1)
        if layers is not None and len(numbers) != layers:
            raise self._wrong(key, f"one number for each of {layers} layers", list(numbers))
        return numbers

    def _numbers(self, key: str, most: int) -> tuple[int, ...]:
        found = self._get(key)
        values = found if isinstance(found, list) else [] if found is None else [found]
        if not all(_is_number(one) and 0 <= one <= most for one in values):
            raise self._wrong(key, f"whole numbers from 0 to {most}", found)
        return tuple(values)

    def pattern(self, key: str, layers: int | None) -> tuple[bool, ...] | int | None:
        """A period, or for each layer whether its window slides."""
        found = self._get(key)
        if isinstance(found, list):
            return tuple(bool(one) for one in self._flags(key, found, layers))
        return self.count(key)

    def _flags(self, key: str, found: list[Any], layers: int | None) -> list[Any]:
        if not all(isinstance(one, int) for one in found) or len(found) != (layers or len(found)):
            raise self._wrong(key, "one boolean for each layer", found)
        return found

    def length(self, key: str) -> int | None:
        """How long an array is."""
        found = self._get(key)
        if isinstance(found, ArrayStub):
            return found.length
        if found is not None and not isinstance(found, list):
            raise self._wrong(key, "an array", found)
        return len(found) if found is not None else None


def _quantization(keys: _Keys, header: Header) -> str | None:
    """The file type the header states, else the type of most of the weights' bytes."""
    stated = keys.count("general.file_type")
    named = tables().file_types.get(stated % GUESSED) if stated is not None else None
    if named is not None:
        return named
    sizes: Counter[str] = Counter()
    for tensor in header.tensors:
        sizes[tensor.type] += tensor.size
    return sizes.most_common(1)[0][0] if sizes else None
