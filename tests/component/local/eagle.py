"""Drafts that a real engine loads beside the model they were made for, EAGLE-3 and DFlash: a layer of random weights.

Such a draft has the vocabulary of its model and reads what some of its layers compute; embedding and output are the
model's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter

if TYPE_CHECKING:
    from pathlib import Path

FEED, HEADS, HEADS_KV, BLOCK = 64, 9, 3, 4
Shapes = dict[str, tuple[int, ...]]


def write_eagle(path: Path, target: Path, *, width: int | None = None) -> None:
    """Write an EAGLE-3 draft for a llama; `width` other than the model's was made for another one."""
    reader = GGUFReader(target)
    width = width or _number(reader, "embedding_length")
    writer = _begun(path, "eagle3", reader, width)
    writer.add_uint32("eagle3.target_hidden_size", width)
    layer = _layer(width, seen=2 * width, attn_norm_2=(width,))
    _end(writer, {"fc": (width, 3 * width), "output_norm": (width,)} | layer)


def write_dflash(path: Path, target: Path) -> None:
    """Write a DFlash draft for a llama, which drafts a block of tokens at once."""
    reader = GGUFReader(target)
    width = _number(reader, "embedding_length")
    writer = _begun(path, "dflash", reader, width)
    writer.add_uint32("dflash.block_size", BLOCK)
    writer.add_mask_token_id(0)
    norms = {"enc.output_norm": (width,), "output_norm": (width,)}
    heads = {f"attn_{name}_norm": (width // HEADS,) for name in "qk"}
    _end(writer, {"fc": (width, 3 * width)} | norms | _layer(width, seen=width, **heads))


def _begun(path: Path, architecture: str, target: GGUFReader, width: int) -> GGUFWriter:
    writer, layers = GGUFWriter(path, architecture), _number(target, "block_count")
    keys = {"block_count": 1, "context_length": _number(target, "context_length"), "embedding_length": width}
    keys |= {"feed_forward_length": FEED, "attention.head_count": HEADS, "attention.head_count_kv": HEADS_KV}
    for key, value in (keys | {"rope.dimension_count": width // HEADS}).items():
        writer.add_uint32(f"{architecture}.{key}", value)
    writer.add_array(f"{architecture}.target_layers", [2, layers // 2, layers - 3])
    writer.add_float32(f"{architecture}.attention.layer_norm_rms_epsilon", 1e-5)
    for key, field in target.fields.items():
        if key.startswith("tokenizer.") and key != "tokenizer.chat_template":
            items = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type=items)
    return writer


def _layer(width: int, *, seen: int, **more: tuple[int, ...]) -> Shapes:
    """One layer; its attention sees so many numbers of a token: EAGLE-3's the embedding and the features."""
    narrow = width // HEADS * HEADS_KV
    found: Shapes = {"attn_norm": (width,), "ffn_norm": (width,), "attn_q": (width, seen), "attn_k": (narrow, seen)}
    found |= {"attn_v": (narrow, seen), "attn_output": (width, width), "ffn_gate": (FEED, width)}
    found |= {"ffn_up": (FEED, width), "ffn_down": (width, FEED), **more}
    return {f"blk.0.{name}": shape for name, shape in found.items()}


def _end(writer: GGUFWriter, shapes: Shapes) -> None:
    chance = np.random.default_rng(1)
    for name, shape in shapes.items():
        values = np.ones(shape) if len(shape) == 1 else 0.05 * chance.standard_normal(shape)
        writer.add_tensor(f"{name}.weight", values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _number(reader: GGUFReader, key: str) -> int:
    return int(reader.fields[f"llama.{key}"].contents())
