"""A multimodal projector that a real engine loads: the smallest vision tower there is, its weights random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gguf import GGUFWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WIDTH, HIDDEN, PATCH, BLOCKS = 32, 64, 14, 2
VISION = {
    "image_size": 2 * PATCH,
    "patch_size": PATCH,
    "embedding_length": WIDTH,
    "feed_forward_length": HIDDEN,
    "block_count": BLOCKS,
    "attention.head_count": 4,
}


def write_projector(path: Path, *, embedding: int) -> None:
    """Write a projector (LLaVA's `mlp`) for a model of this embedding length."""
    writer = GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.use_gelu", True)
    writer.add_string("clip.projector_type", "mlp")
    for key, value in (VISION | {"projection_dim": embedding}).items():
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    for key in ("image_mean", "image_std"):
        writer.add_array(f"clip.vision.{key}", [0.5, 0.5, 0.5])
    chance = np.random.default_rng(1)
    for name, shape in _tensors(embedding):
        writer.add_tensor(name, (0.2 * chance.standard_normal(shape)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(embedding: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "v.patch_embd.weight", (WIDTH, 3, PATCH, PATCH)
    yield "v.position_embd.weight", (5, WIDTH)
    yield "v.class_embd", (WIDTH,)
    layers = {"v.pre_ln": (WIDTH,), "v.post_ln": (WIDTH,)}
    for block in range(BLOCKS):
        layers |= {f"v.blk.{block}.{name}": (WIDTH,) for name in ("ln1", "ln2")}
    yield from _layers(layers)
    wide: dict[str, tuple[int, ...]] = {"mm.0": (embedding, WIDTH), "mm.2": (embedding, embedding)}
    for block in range(BLOCKS):
        wide |= {f"v.blk.{block}.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "out")}
        wide |= {f"v.blk.{block}.ffn_up": (HIDDEN, WIDTH), f"v.blk.{block}.ffn_down": (WIDTH, HIDDEN)}
    yield from _layers(wide)


def _layers(shapes: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Each with its bias, which is as long as its output."""
    for name, shape in shapes.items():
        yield f"{name}.weight", shape
        yield f"{name}.bias", shape[:1]
