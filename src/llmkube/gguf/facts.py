"""What a header says about a model, as checked values. Keys: ggml's docs/gguf.md. A wrong type is an error."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gguf.constants import LlamaFileType

from llmkube.gguf.errors import GGUFError
from llmkube.gguf.reader import LongArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.gguf.reader import Header

MOST_LAYERS = 4096


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
    architecture = keys.text("general.architecture")
    if not architecture:
        message = "GGUF metadata 'general.architecture': expected the name of an architecture, found nothing"
        raise GGUFError("MissingMetadata", message)
    own = _Keys(header.metadata, f"{architecture}.")
    layers = own.count("block_count")
    if layers is not None and layers > MOST_LAYERS:
        raise GGUFError("TooLarge", f"GGUF metadata: expected at most {MOST_LAYERS} layers, found {layers}")
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
        key_length=own.count("attention.key_length"),
        value_length=own.count("attention.value_length"),
        sliding_window=own.count("attention.sliding_window"),
        sliding_window_pattern=own.pattern("attention.sliding_window_pattern"),
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


@dataclass(frozen=True, slots=True)
class _Keys:
    """Metadata below a prefix, by type."""

    metadata: Mapping[str, Any]
    prefix: str = ""

    def _get(self, key: str) -> Any:
        return self.metadata.get(self.prefix + key)

    def _wrong(self, key: str, expected: str, found: Any) -> GGUFError:
        shown = f"{type(found).__name__} {found!r:.60}"
        return GGUFError("Malformed", f"GGUF metadata {self.prefix + key!r:.120}: expected {expected}, found {shown}")

    def text(self, key: str) -> str | None:
        found = self._get(key)
        if found is not None and not isinstance(found, str):
            raise self._wrong(key, "a string", found)
        return found

    def count(self, key: str) -> int | None:
        """A whole number; the most of an array."""
        found = self.counts(key, None)
        return max(found, default=None)

    def counts(self, key: str, layers: int | None) -> tuple[int, ...]:
        """One number per layer: an array, or one number for all of them."""
        found = self._get(key)
        if found is None:
            return ()
        values = found if isinstance(found, list) else [found]
        if not all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 2**62 for one in values):
            raise self._wrong(key, "whole numbers", found)
        return tuple(values) if isinstance(found, list) else (found,) * (layers or 1)

    def pattern(self, key: str) -> tuple[bool, ...] | int | None:
        found = self._get(key)
        if found is None or isinstance(found, int):
            return found
        if isinstance(found, list) and all(isinstance(one, int) for one in found):
            return tuple(bool(one) for one in found)
        raise self._wrong(key, "a number or an array of booleans", found)

    def length(self, key: str) -> int | None:
        found = self._get(key)
        if isinstance(found, LongArray):
            return found.length
        return len(found) if isinstance(found, list) else None


def _quantization(keys: _Keys, header: Header) -> str | None:
    """The file type the header states, else the type of most of the weights' bytes."""
    stated = keys.count("general.file_type")
    try:
        if stated is not None:
            name: str = LlamaFileType(stated).name
            return name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        pass  # newer than our table: what the tensors are says it too
    sizes: Counter[str] = Counter()
    for tensor in header.tensors:
        sizes[tensor.type] += tensor.size
    return sizes.most_common(1)[0][0] if sizes else None
