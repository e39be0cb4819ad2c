"""LoRA adapters that a real engine loads: random ones of rank 4 for SmolLM2's queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gguf import GGUFWriter

if TYPE_CHECKING:
    from pathlib import Path

LAYERS, WIDTH, RANK = 30, 576, 4


def write_adapter(path: Path, *, architecture: str = "llama", width: int = WIDTH, seed: int = 1) -> None:
    """Write an adapter strong enough to change what is said; `width` other than SmolLM2's fits no model of its kind."""
    chance = np.random.default_rng(seed)
    writer = GGUFWriter(path, architecture)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 16.0)
    for layer in range(LAYERS):
        for name, shape in (("a", (RANK, WIDTH)), ("b", (width, RANK))):
            values = 0.3 * chance.standard_normal(shape)
            writer.add_tensor(f"blk.{layer}.attn_q.weight.lora_{name}", values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
