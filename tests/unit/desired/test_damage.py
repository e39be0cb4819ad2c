"""An engine that could not read its file says so in its last words, and nothing else is taken for that."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmkube.desired.damage import suspect
from llmkube.kube.objects import Pod

# The last words of llama-server b11669 for files that were damaged on purpose.
DAMAGED = [
    "gguf_init_from_reader: invalid magic characters: '????', expected 'GGUF'",
    "gguf_init_from_reader: failed to read key-value pairs",
    "gguf_init_from_reader: failed to read tensor info",
    "tensor 'blk.11.ffn_up.weight' data is not within the file bounds, model is corrupted or incomplete",
]
OTHERS = [
    "gguf_init_from_file: failed to open GGUF file '/models/m.gguf' (No such file or directory)",
    "E llama_model_load: error loading model: llama_model_loader: failed to load model from /models/m.gguf",
    "error loading model: error loading model architecture: unknown model architecture: 'x'",
    "ggml_backend_alloc_ctx_tensors_from_buft: failed to allocate",
    "couldn't bind HTTP server socket, hostname: 0.0.0.0, port: 8080",
    "",
]


def pod(
    words: str, *, name: str = "p", created: str = "2026-01-01T00:00:00Z", ready: bool = False, **fields: Any
) -> Pod:
    ended = {"terminated": {"exitCode": 1, "message": words}}
    container = {"name": "llama-server", "ready": ready, "lastState": ended, **fields}
    made = {"metadata": {"name": name, "creationTimestamp": created}, "status": {"containerStatuses": [container]}}
    return msgspec.convert(made, Pod)


@pytest.mark.parametrize("words", DAMAGED)
def test_an_engine_that_could_not_read_its_file_is_known_by_its_last_words(words: str) -> None:
    assert suspect([pod("", name="other"), pod(f"first\n{words}\nlast")]) is not None


@pytest.mark.parametrize("words", OTHERS)
def test_an_engine_that_ended_for_another_reason_is_no_suspect(words: str) -> None:
    assert suspect([pod(words)]) is None


def test_an_engine_that_got_ready_since_is_no_suspect() -> None:
    assert suspect([pod(DAMAGED[0], ready=True)]) is None


def test_of_several_the_oldest_is_the_suspect_whatever_their_order() -> None:
    pods = [pod(DAMAGED[0], name="b", created="2026-01-02T00:00:00Z"), pod(DAMAGED[0], name="c")]
    for order in (pods, pods[::-1]):
        found = suspect(order)
        assert found is not None
        assert found.metadata.name == "c"
