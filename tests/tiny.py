"""GGUF files for tests to serve and read: small ones by the reference writer, and headers with a large vocabulary."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from gguf import GGUFWriter

KEYS = {"block_count": 1, "embedding_length": 64, "feed_forward_length": 96, "context_length": 512}
HEADS = {"attention.head_count": 8, "attention.head_count_kv": 2}
STRING, FLOAT, INT = 8, 6, 5
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def model(
    *,
    tokens: int = 10,
    tensors: tuple[str, ...] = ("token_embd.weight",),
    split: tuple[int, int] | None = None,
    metadata: dict[str, int] | None = None,
) -> bytes:
    """A model of one layer; `split` is the number of the part, from 0, and how many there are."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.gguf")
        writer = GGUFWriter(path, "llama")
        writer.add_license("mit")
        for key, value in {**KEYS, **HEADS}.items():
            writer.add_uint32(f"llama.{key}", value)
        for key, value in (metadata or {}).items():
            writer.add_uint32(key, value)
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


def header(vocabulary: int, *, merges: int = 0, tensors: int = 200, seed: int = 1) -> tuple[bytes, int]:
    """A header as real ones are, with tokens of 1 to 16 letters, the later the longer; and the bytes of its tensors."""
    chance = random.Random(seed)
    longest = [4 + 12 * at // vocabulary for at in range(vocabulary)]
    words = ["".join(chance.choices(LETTERS, k=chance.randint(1, most))) for most in longest]
    pairs = [
        text("general.architecture") + struct.pack("<I", STRING) + text("llama"),
        text("general.license") + struct.pack("<I", STRING) + text("mit"),
        *(text(f"llama.{key}") + struct.pack("<II", 4, value) for key, value in {**KEYS, **HEADS}.items()),
        text("tokenizer.ggml.tokens") + array(STRING, vocabulary, map(text, words)),
        text("tokenizer.ggml.scores") + array(FLOAT, vocabulary, [bytes(4 * vocabulary)]),
        text("tokenizer.ggml.token_type") + array(INT, vocabulary, [bytes(4 * vocabulary)]),
    ]
    if merges:
        joined = (text(f"{words[at % vocabulary]} {words[-at % vocabulary]}") for at in range(merges))
        pairs.append(text("tokenizer.ggml.merges") + array(STRING, merges, joined))
    size = 64 * 32 * 4
    infos = [text(f"blk.{at}.attn_q.weight") + struct.pack("<IQQIQ", 2, 64, 32, 0, at * size) for at in range(tensors)]
    start = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(pairs))
    data = start + b"".join(pairs) + b"".join(infos)
    return data + bytes(-len(data) % 32), tensors * size


def write_sparse(path: Path, start: bytes, size: int) -> None:
    """A file of this size that begins so; the rest takes no room on the disk."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def array(kind: int, count: int, items: Iterable[bytes]) -> bytes:
    return struct.pack("<IIQ", 9, kind, count) + b"".join(items)
