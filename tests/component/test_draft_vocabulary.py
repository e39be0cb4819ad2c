"""Whether a model can draft for another: our verdict from two headers, and what a real llama-server says of them."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.component.local.conftest import smollm2
from tests.real_engine import MISSING, program

from llmkube.api.model import ModelSpec, ModelStatus
from llmkube.desired.drafts import draft_trouble
from llmkube.desired.inputs import Served
from llmkube.desired.model_facts import published
from llmkube.gguf.facts import facts
from llmkube.gguf.reader import read_file
from llmkube.kube.objects import CustomResource, ObjectMeta

__all__ = ["smollm2"]
pytestmark = [pytest.mark.engine, pytest.mark.timeout(200)]
DIFFERS = "the target and draft vocabs are not compatible"
EDITS = {
    "nothing": (b"", b"", False),
    "the end token": (
        b"tokenizer.ggml.eos_token_id\x04\0\0\0\x02",
        b"tokenizer.ggml.eos_token_id\x04\0\0\0\x05",
        False,
    ),
    "a begin token that is not put": (
        b"tokenizer.ggml.bos_token_id\x04\0\0\0\x01",
        b"tokenizer.ggml.bos_token_id\x04\0\0\0\x05",
        False,
    ),
    "that a begin token is put": (
        b"tokenizer.ggml.add_bos_token\x07\0\0\0\0",
        b"tokenizer.ggml.add_bos_token\x07\0\0\0\1",
        True,
    ),
    "one token": ("Ġhello".encode(), "Ġjello".encode(), True),
}


def served(path: Path, name: str) -> Served:
    resource = CustomResource(metadata=ObjectMeta(name=name, namespace="team"))
    status = ModelStatus(gguf=published(facts(read_file(path))))
    return Served(resource, ModelSpec(source="https://h/m.gguf"), status)


def said(engine: str, model: Path, draft: Path, log: Path) -> str:
    """What the engine writes until it answers."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    words = ["-m", str(model), "--host", "127.0.0.1", "--port", port, "-c", "256", "-t", "2", "--no-warmup"]
    words += ["--spec-type", "draft-simple", "--spec-draft-model", str(draft), "--n-gpu-layers", "0", "-np", "1"]
    with log.open("w") as out, subprocess.Popen([engine, *words], stdout=out, stderr=out) as process:
        try:
            deadline = time.monotonic() + 90
            while time.monotonic() < deadline and not answers(port):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        finally:
            process.kill()
    return log.read_text()


def answers(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as found:
            return bool(found.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


@pytest.mark.parametrize("edit", EDITS)
def test_a_draft_is_refused_exactly_where_the_engine_would_serve_without_it(
    edit: str, smollm2: Path, tmp_path: Path
) -> None:
    before, after, is_refused = EDITS[edit]
    content = bytearray(smollm2.read_bytes())
    at = content.find(before, content.find(b"tokenizer.ggml.tokens") if edit == "one token" else 0)
    assert at >= 0
    content[at : at + len(before)] = after
    draft = tmp_path / "draft.gguf"
    draft.write_bytes(content)
    assert (draft_trouble(served(smollm2, "large"), served(draft, "small")) is not None) is is_refused
    engine = program("llama-server")
    if not engine:
        pytest.skip(f"NO llama-server: {MISSING}; what it thinks of the same drafts is NOT tested")
    assert (DIFFERS in said(engine, smollm2, draft, tmp_path / "log")) is is_refused
