"""Small complete GGUF files, by the reference writer, for servers to hand out."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from gguf import GGUFWriter

KEYS = {"block_count": 1, "embedding_length": 64, "feed_forward_length": 96, "context_length": 512}
HEADS = {"attention.head_count": 8, "attention.head_count_kv": 2}


def model(
    *, tokens: int = 10, tensors: tuple[str, ...] = ("token_embd.weight",), split: tuple[int, int] | None = None
) -> bytes:
    """A model of one layer; `split` is the number of the part, from 0, and how many there are."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.gguf")
        writer = GGUFWriter(path, "llama")
        for key, value in {**KEYS, **HEADS}.items():
            writer.add_uint32(f"llama.{key}", value)
        writer.add_token_list([f"token {number}" for number in range(tokens)])
        if split is not None:
            writer.add_uint16("split.no", split[0])
            writer.add_uint16("split.count", split[1])
        for tensor in tensors:
            writer.add_tensor(tensor, np.zeros((32, 64), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


def parts(count: int = 3) -> dict[str, bytes]:
    """A split model: file names and their bytes."""
    return {
        f"big-{number:05d}-of-{count:05d}.gguf": model(
            tensors=(f"blk.{number}.weight",), split=(number - 1, count), tokens=10 if number == 1 else 0
        )
        for number in range(1, count + 1)
    }
