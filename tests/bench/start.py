"""How long a warm start takes to the first token: a service scaled from 0 to 1 in local mode, and the bare engine.

Both run the same command on the same bytes, by turns, and are asked the same way: a client asks again and again from
the start on, twenty times a second, until a first token comes. Ours begins when the API server has got the patch:
it has the operator, the controllers, the node and the Service in it.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figures import Figure
from tests.component.local.file_servers import ModelServer
from tests.component.local.local_mode import LocalMode, model, service, until
from tests.component.local.test_crashes import engines

NAME = "start"
SETTLE = 2.0  # what follows an engine's end is over: its pod goes, the operator tells
PERIOD = 0.05  # a client that asks more often takes the CPU of an engine that loads
_OBJECT = ("apis/inference.llmkube.dev/v1alpha1/namespaces/default/inferenceservices", NAME)
_QUESTION = {"messages": [{"role": "user", "content": "Say hello."}], "stream": True, "max_tokens": 1}


def figures(file: Path, rounds: int) -> list[Figure]:
    """Rounds of both, one after the other, with the GGUF `file`."""
    with _serving(file) as (local, endpoint):
        pairs = [_round(local, endpoint) for _ in range(rounds)]
    ours, bare = (statistics.median(each) for each in zip(*pairs, strict=True))
    what = "warm start of SmolLM2 to the first token"
    return [
        Figure(f"{what}: what LLMKube adds", ours - bare, "s", "bare llama-server", 1.0, at_least=False),
        Figure(f"{what}: LLMKube", ours, "s"),
        Figure(f"{what}: bare llama-server", bare, "s"),
    ]


@contextlib.contextmanager
def _serving(file: Path) -> Iterator[tuple[LocalMode, str]]:
    with tempfile.TemporaryDirectory(prefix="llmkube-bench-") as home, ModelServer(file.parent) as models:
        local = LocalMode(Path(home))
        try:
            local.llmkube("local", "up")
            local.apply(model(NAME, models.url(file.name)), service(NAME, NAME))
            yield local, local.until_ready(NAME)["status"]["endpoint"]
        finally:
            local.llmkube("local", "reset", "--yes", check=False)


def _round(local: LocalMode, endpoint: str) -> tuple[float, float]:
    """Seconds of ours, and of the bare engine; both began with nothing running."""
    _stop(local)
    began = time.perf_counter()
    local.patch({"spec": {"replicas": 1}}, *_OBJECT)
    ours = _first_token(endpoint, since=began)
    (engine,) = engines(local)
    command = Path(f"/proc/{engine}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    _stop(local)
    return ours, _bare(command)


def _stop(local: LocalMode) -> None:
    local.patch({"spec": {"replicas": 0}}, *_OBJECT)
    until(lambda: engines(local), lambda found: found == [])
    time.sleep(SETTLE)


def _bare(command: list[str]) -> float:
    host, port = (command[command.index(flag) + 1] for flag in ("--host", "--port"))
    began = time.perf_counter()
    quiet = subprocess.DEVNULL  # a session of its own, as the node gives it: Linux shares the CPU out by sessions
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        return _first_token(f"http://{host}:{port}/v1/chat/completions", since=began)
    finally:
        process.kill()
        process.wait()


def _first_token(endpoint: str, *, since: float) -> float:
    request = urllib.request.Request(endpoint, json.dumps(_QUESTION).encode(), {"Content-Type": "application/json"})
    while time.perf_counter() - since < 120:
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=60) as answer:
            if any(b'"content":"' in line for line in answer):
                return time.perf_counter() - since
        time.sleep(PERIOD)
    raise TimeoutError(f"no token from {endpoint} within 120 s")
