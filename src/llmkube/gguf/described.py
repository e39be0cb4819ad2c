"""The same model in another quantisation, from its facts alone: what its weights would be in bytes.

Facts have the names and shapes of all tensors of the layers, so types can be given to them anew, as llama-quantize
would (quantize.py). Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llmkube.gguf.quantize import requantized
from llmkube.gguf.reader import Header, TensorInfo
from llmkube.gguf.weights import EMBEDDING, OUTPUT, weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.gguf.facts import ModelFacts


def in_file_type(facts: ModelFacts, file_type: str) -> ModelFacts:
    """The facts of the model in a file type of quantize.DEFAULTS; ValueError for any other."""
    header = Header(3, _metadata(facts), tuple(_tensors(facts)), 0, 0)
    again = requantized(header, file_type)
    return replace(facts, quantization=file_type, weights=weights(again.tensors, facts.block_count or 0))


def _metadata(facts: ModelFacts) -> dict[str, Any]:
    name = facts.architecture
    return {
        "general.architecture": name,
        f"{name}.block_count": facts.block_count or 0,
        f"{name}.attention.head_count": list(facts.attention.heads),
        f"{name}.attention.head_count_kv": list(facts.attention.heads_kv),
        f"{name}.expert_count": facts.experts or 0,
    }


def _tensors(facts: ModelFacts) -> Iterator[TensorInfo]:
    width = facts.embedding_length or 0
    for name in (EMBEDDING, OUTPUT):
        if name in facts.weights.names:
            yield _tensor(name, (width, facts.vocabulary_size or 0))
    for index, block in enumerate(facts.weights.blocks):
        yield from (_tensor(f"blk.{index}.{name}", shape) for name, shape in block.shapes.items())


def _tensor(name: str, shape: tuple[int, ...]) -> TensorInfo:
    """In F32, as tensors stay that are not quantised."""
    info = TensorInfo(name, shape, "F32", 0, 0)
    return replace(info, size=4 * info.elements)
