"""Images that a model with a projector is asked about, with real engines."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import pytest
from tests.component.local.conftest import running
from tests.component.local.file_servers import ModelServer
from tests.component.local.local_mode import Object, asked, model, service
from tests.component.local.lora import WIDTH
from tests.component.local.projector import write_projector
from tests.real_engine import MISSING, VARIABLE, program

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]
COLOURS = {"red": b"\xff\0\0", "blue": b"\0\0\xff"}


def ask(endpoint: str, content: Any, **further: Any) -> Object:
    """Return what is said first, at temperature 0."""
    said = {"messages": [{"role": "user", "content": content}], "max_tokens": 1, "temperature": 0}
    return asked(endpoint, "/v1/chat/completions", {**said, **further})


def test_an_image_is_read_by_the_projector_that_was_verified_with_the_model(models: ModelServer) -> None:
    write_projector(models.folder / "mmproj.gguf", embedding=WIDTH)
    seeing = model("seeing", models.url("smollm2.gguf"), mmprojSource=models.url("mmproj.gguf"))
    with running() as local:
        drafted = service("seeing", "seeing", speculative={"draftModelRef": "tiny"})
        local.apply(model("tiny", models.url("smollm2.gguf")), seeing, drafted)
        endpoint = local.until_ready("seeing")["status"]["endpoint"]
        blind, found = ask(endpoint, "Say hello."), ask(endpoint, looking_at("red"))
    assert found["usage"]["prompt_tokens"] > blind["usage"]["prompt_tokens"], "the image is tokens of the prompt"


def test_another_image_makes_another_answer_of_llama_server_itself(models: ModelServer) -> None:
    """By how likely its first word was: what a tower of random weights shows changes few words."""
    engine = program("llama-server")
    if not engine:
        pytest.skip(f"NO llama-server: {MISSING}; whether it looks at an image is NOT tested")
    write_projector(models.folder / "mmproj.gguf", embedding=WIDTH)
    with running({VARIABLE: engine}) as real:
        real.apply(
            model("seeing", models.url("smollm2.gguf"), mmprojSource=models.url("mmproj.gguf")),
            service("seeing", "seeing"),
        )
        endpoint = real.until_ready("seeing")["status"]["endpoint"]
        first, other, again = (likely(endpoint, colour) for colour in ("red", "blue", "red"))
    assert first == pytest.approx(again, abs=1e-3)
    assert first != pytest.approx(other, abs=1e-2)


def likely(endpoint: str, colour: str) -> float:
    """How likely the first word was, said of an image of this colour."""
    found = ask(endpoint, looking_at(colour), logprobs=True, top_logprobs=1, cache_prompt=False)
    told: float = found["choices"][0]["logprobs"]["content"][0]["logprob"]
    return told


def looking_at(colour: str) -> list[Object]:
    url = f"data:image/png;base64,{base64.b64encode(png(COLOURS[colour])).decode()}"
    return [{"type": "text", "text": "Say hello."}, {"type": "image_url", "image_url": {"url": url}}]


def png(colour: bytes, side: int = 28) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + colour * side) * side
    shape = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*each) for each in ((b"IHDR", shape), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )
