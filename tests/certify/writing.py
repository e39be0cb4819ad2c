"""Small GGUF files of any architecture: weights of zeros, a vocabulary that the engine takes, always the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGUF_DEFAULT_ALIGNMENT, GGMLQuantizationType, GGUFWriter, TokenType

from llmkube.gguf.facts import ModelFacts, facts
from llmkube.gguf.reader import Header, TensorInfo
from llmkube.gguf.values import ArrayStub

VOCABULARY = 8192
GIVEN = ("general.", "tokenizer.")
Shape = tuple[int, ...]
BLOCK, BLOCK_BYTES = GGML_QUANT_SIZES[GGMLQuantizationType.Q4_0]


@dataclass(frozen=True)
class Model:
    """`keys`: below the architecture's own prefix. `tensors`: shapes innermost first; matrices are Q4_0."""

    name: str
    architecture: str
    keys: Mapping[str, Any]
    tensors: Mapping[str, Shape]
    tokenizer: str = "llama"
    vocabulary: int = VOCABULARY


def write(model: Model, folder: Path) -> Path:
    """Write the file. Its weights are a hole at its end, which reads as zeros and takes no room on disk."""
    path = folder / f"{model.name}.gguf"
    writer = GGUFWriter(path, model.architecture)
    for key, value in model.keys.items():
        _add(writer, key if key.startswith(GIVEN) else f"{model.architecture}.{key}", value)
    vocabulary(writer, model.tokenizer, model.vocabulary)
    sizes = [_tensor(writer, name, shape) for name, shape in model.tensors.items()]
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        file.truncate(_padded(path.stat().st_size) + sum(map(_padded, sizes)))
    return path


def bare(architecture: str, folder: Path) -> Path:
    """Write a file that says nothing but its architecture."""
    path = folder / f"{architecture}.gguf"
    writer = GGUFWriter(path, architecture)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return path


def _padded(size: int) -> int:
    return -(-size // GGUF_DEFAULT_ALIGNMENT) * GGUF_DEFAULT_ALIGNMENT


def _tensor(writer: GGUFWriter, name: str, shape: Shape) -> int:
    """Tell of a tensor; its bytes."""
    is_matrix, count = _is_matrix(name, shape), int(np.prod(shape))
    size = count // BLOCK * BLOCK_BYTES if is_matrix else 4 * count
    kind = GGMLQuantizationType.Q4_0 if is_matrix else GGMLQuantizationType.F32
    writer.add_tensor_info(name, shape[::-1], np.dtype(np.float32), size, raw_dtype=kind)
    return size


def _is_matrix(name: str, shape: Shape) -> bool:
    """Numbers of one row, and matrices that are no products, stay F32."""
    is_product = name.endswith(".weight") and not any(word in name for word in ("conv", "norm"))
    return len(shape) > 1 and is_product and shape[0] % BLOCK == 0


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)


def vocabulary(writer: GGUFWriter, kind: str, size: int) -> None:
    """Write so many tokens of a kind (llama, bert): the special ones, and words w0, w1, …"""
    special = ["<unk>", "<s>", "</s>"] if kind == "llama" else ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [f"<0x{byte:02X}>" for byte in range(256)] if kind == "llama" else []
    words = [f"▁w{number}" for number in range(size - len(special) - len(letters))]
    types = [TokenType.CONTROL] * len(special) + [TokenType.BYTE] * len(letters) + [TokenType.NORMAL] * len(words)
    writer.add_tokenizer_model(kind)
    writer.add_token_list([*special, *letters, *words])
    writer.add_token_types(types)
    writer.add_token_scores([-float(number) for number in range(size)])
    writer.add_bos_token_id(1 if kind == "llama" else 2)
    writer.add_eos_token_id(2 if kind == "llama" else 3)
    if kind == "llama":
        writer.add_unk_token_id(0)
    else:
        writer.add_token_type_count(2)


def facts_of(model: Model) -> ModelFacts:
    """What the header of the file would say, without the file."""
    keys = {key if key.startswith(GIVEN) else f"{model.architecture}.{key}": value for key, value in model.keys.items()}
    keys |= {"general.architecture": model.architecture, "tokenizer.ggml.tokens": ArrayStub(model.vocabulary, "STRING")}
    tensors = tuple(_info(name, shape) for name, shape in model.tensors.items())
    return facts(Header(3, keys, tensors, 0, 0))


def _info(name: str, shape: Shape) -> TensorInfo:
    count = int(np.prod(shape))
    if _is_matrix(name, shape):
        return TensorInfo(name, shape, "Q4_0", 0, count // BLOCK * BLOCK_BYTES)
    return TensorInfo(name, shape, "F32", 0, 4 * count)
