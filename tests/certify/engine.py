"""A real llama.cpp that loads a model and says how large its buffers are."""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from tests.real_engine import program

from llmkube.gguf.plan.buffers import Buffers
from llmkube.gguf.plan.options import EngineOptions

MIB = 1024 * 1024
SECONDS = 60.0
READY = ("listening on", "server is listening")
TRIED = ("common_params_fit_impl: projected",)
_SIZE = re.compile(r"(\S+)\s+(model|KV|RS|compute|output) buffer size = +([0-9.]+) MiB")
_TOLD = re.compile(r"\| +- (\w+).* +\|.*?= *(\d+) \+ +(\d+) \+ +\d+[) ]")
_NAMES = {"model": "model", "KV": "kv", "RS": "recurrent", "compute": "compute", "output": "output"}


class EngineError(Exception):
    """The engine did not load the model; the message is the last lines that it wrote."""


@dataclass(frozen=True)
class Engine:
    """`argv`: the words before the flags. `sees`: devices beside the CPU, by the engine's names, in its order.

    `blurs`: buffers of which it logs more than the one that is planned.
    """

    name: str
    argv: tuple[str, ...]
    extra: tuple[str, ...] = ()
    sees: tuple[str, ...] = ()
    blurs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """What the engine logged, in bytes; the host and the devices in the engine's order."""

    host: Buffers
    devices: tuple[Buffers, ...] = ()
    lines: tuple[str, ...] = field(default=(), repr=False)


def llama_server() -> Engine | None:
    """The real binary: what LLMKUBE_LLAMA_SERVER names, PATH has, or hack/engine has fetched."""
    found = program("llama-server")
    return Engine("llama-server", (found,), ("--fit", "off", "--no-repack", "--offline")) if found else None


def in_process() -> Engine | None:
    """The package xllamacpp behind the launcher that local mode starts.

    It has no flag to leave out the copies that it makes of some matrices for its CPU: they are in its log beside the
    mapped file.
    """
    try:
        import xllamacpp  # noqa: F401
    except ImportError:
        return None
    return Engine("xllamacpp", (sys.executable, "-m", "llmkube.local.engine"), blurs=("model",))


@contextmanager
def with_devices(engine: Engine, count: int) -> Iterator[Engine]:
    """The engine with so many devices: llama.cpp's own workers on loopback, each with memory of its own.

    To the engine they are GPUs: layers, caches and graphs are shared out among them as among those.
    """
    worker = program("ggml-rpc-server")
    if worker is None:
        raise EngineError(f"no ggml-rpc-server beside {engine.name}")
    with ExitStack() as running:
        places = [running.enter_context(run_worker(worker)) for _ in range(count)]
        sees = tuple(f"RPC0[{place}]" for place in places)
        yield replace(engine, extra=(*engine.extra, "--rpc", ",".join(places)), sees=sees)


@contextmanager
def run_worker(path: str, log: int | IO[bytes] = subprocess.DEVNULL) -> Iterator[str]:
    """A worker's address while it runs; `log` gets all that it does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [path, "-H", "127.0.0.1", "-p", str(port), "-t", "1"]
    talks = os.environ | {"GGML_RPC_DEBUG": "1"}
    with subprocess.Popen(words, stdout=log, stderr=log, env=talks) as process:
        try:
            _await(port)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def _await(port: int) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise EngineError(f"no worker listens on port {port}")


def flags(options: EngineOptions) -> list[str]:
    """The options as llama-server's flags."""
    words = ["-c", str(options.context or 0), "-np", str(options.parallel)]
    words += ["-b", str(options.batch), "-ub", str(options.ubatch), "-fa", options.flash_attention]
    words += ["-ctk", options.cache_type_k, "-ctv", options.cache_type_v]
    words += ["-kvu"] if options.kv_unified else ["-no-kvu"]
    words += ["--swa-full"] if options.swa_full else []
    words += ["--embedding"] if options.embeddings else []
    words += ["-ngl", str(options.gpu_layers if options.gpu_layers >= 0 else 999)] if options.gpus else []
    words += ["-sm", options.split_mode] if options.gpus > 1 else []
    words += ["-ts", ",".join(map(str, options.tensor_split))] if options.tensor_split else []
    return words


def load(engine: Engine, model: Path, options: EngineOptions) -> Loaded:
    """Start the engine, read its log until it serves, and stop it. EngineError when it does not load the model."""
    return parsed(logged(engine, model, options, ("-lv", "4"), READY), engine.sees)


def tried(engine: Engine, model: Path, options: EngineOptions) -> Loaded:
    """What the engine would take, by its own trial before it fits a model to the memory there is: nothing is loaded.

    Compute and output are logged as ever. Weights, and all that is kept of tokens (as `kv`), it tells in whole MiB
    without the rest: half of one is added.
    """
    lines = logged(engine, model, options, ("--fit", "on", "-lv", "5"), TRIED)
    buffers = parsed([line for line in lines if "model buffer" not in line and "RS buffer" not in line], engine.sees)
    told = [(found[1], int(found[2]), int(found[3])) for found in map(_TOLD.search, lines) if found]
    host = [sizes for name, *sizes in told if name == "Host"]
    sizes = [*host, *(sizes for name, *sizes in told if name != "Host"), *[[0, 0]] * len(engine.sees)]
    host, *devices = (
        replace(found, model=_about(weights), kv=_about(tokens))
        for found, (weights, tokens) in zip((buffers.host, *buffers.devices), sizes, strict=False)
    )
    return Loaded(host, tuple(devices), buffers.lines)


def _about(mib: int) -> int:
    return mib * MIB + MIB // 2 if mib else 0


def logged(engine: Engine, model: Path, options: EngineOptions, more: Sequence[str], until: Sequence[str]) -> list[str]:
    """What the engine writes when it is started so, up to a line with one of these words."""
    with started(engine, model, options, more, until) as lines:
        return lines


@contextmanager
def started(
    engine: Engine, model: Path, options: EngineOptions, more: Sequence[str], until: Sequence[str]
) -> Iterator[list[str]]:
    """The engine, once it has written such a line, with all that it has written so far."""
    words = [*engine.argv, "-m", str(model), *flags(options), *engine.extra]
    words += ["--port", "0", "--no-warmup", "-t", "1", *more]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield _read(process, until)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _read(process: subprocess.Popen[bytes], until: Sequence[str]) -> list[str]:
    assert process.stdout is not None
    data, deadline = b"", time.monotonic() + SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if selector.select(deadline - time.monotonic()):
                read = os.read(process.stdout.fileno(), 65536)
                data += read
                if any(word.encode() in data for word in until):
                    return data.decode(errors="replace").splitlines()
                if not read:
                    break
    raise EngineError("\n".join(data.decode(errors="replace").splitlines()[-6:]))


def parsed(lines: Iterable[str], sees: Sequence[str] = ()) -> Loaded:
    """The buffers that a log tells of; those of the CPU, of mapped files too, are the host's."""
    places = {"": Buffers(), **{name: Buffers() for name in sees}}
    key, kept = "kv", []
    for line in lines:
        if "KV cache, size" in line:
            key = "kv" if "non-SWA" in line else "kv_swa"
        if found := _SIZE.search(line):
            kept.append(line.strip())
            place = found[1] if found[1] in places else ""
            name = _NAMES[found[2]] if found[2] != "KV" else key
            size = getattr(places[place], name) + round(float(found[3]) * MIB)
            places[place] = replace(places[place], **{name: size})
    return Loaded(places.pop(""), tuple(places.values()), tuple(kept))


def version(engine: Engine) -> str:
    words = [*engine.argv, "--version"]
    run = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    return next((line for line in (run.stdout + run.stderr).splitlines() if "version" in line), "unknown").strip()
