"""A real llama.cpp that slices a model among workers, and what each of them took.

The engine tells of all slices as one device, and of each buffer the largest. So a worker's own log is read: how many
bytes it was asked for, in the order in which the engine told of its buffers. After those come the rooms in which it
adds up what the others have worked out; they are as large as the largest batch so far, so a whole one is sent.
"""

from __future__ import annotations

import http.client
import json
import re
import tempfile
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from tests.certify.cases import SLICES, Case
from tests.certify.comparing import Row, rows
from tests.certify.engine import MIB, READY, SECONDS, Engine, EngineError, Loaded, parsed, run_worker, started
from tests.real_engine import program

from llmkube.gguf.plan.buffers import Buffers, MemoryPlan
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions, PlanError

ONE = "Meta()"
"""The engine's name for all workers together."""
_BUFFER = re.compile(r"Meta\(\)\s+(model|KV|RS|compute) buffer size")
_TAKEN = re.compile(rb"\[alloc_buffer\].* size: ([0-9.]+) (\w+) ->")
_ADDRESS = re.compile(r"listening on (http://\S+)")
_NAMES = {"model": "model", "RS": "recurrent", "compute": "compute"}
_UNITS = {b"B": 1, b"KiB": 1024, b"MiB": MIB, b"GiB": 1024 * MIB}


def compared(engine: Engine, case: Case) -> list[Row]:
    """Every buffer of every worker beside its plan. EngineError where the engine refuses what was planned.

    Where the plan refuses, the engine has to do so too: AssertionError if it does not, no rows if it does.
    """
    try:
        planned = plan(case.facts, case.options)
    except PlanError as error:
        with suppress(EngineError):
            load(engine, case, MemoryPlan((Buffers(),) * case.options.gpus, Buffers(), 0, 0, 0))
            raise AssertionError(f"{case.name} {case.told}: refused, and the engine loads it: {error}") from None
        return []
    return rows(case, planned, load(engine, case, planned))


def load(engine: Engine, case: Case, planned: MemoryPlan) -> Loaded:
    """Have the engine load a model and work on one batch, and say what it took where.

    A worker is asked for nothing where it has nothing of a buffer: `planned` says where that is.
    """
    options = case.options
    worker = program("ggml-rpc-server")
    if worker is None:
        raise EngineError(f"no ggml-rpc-server beside {engine.name}")
    with ExitStack() as running:
        logs = [running.enter_context(tempfile.TemporaryFile()) for _ in range(options.gpus)]
        places = [running.enter_context(run_worker(worker, log)) for log in logs]
        slicing = replace(engine, extra=(*engine.extra, "--rpc", ",".join(places)))
        with started(slicing, case.path, options, ("-lv", "4"), READY) as lines:
            _work(lines, options)
        host = parsed([line for line in lines if ONE not in line]).host
        told = _buffers(lines)
        names = [[name for name in told if getattr(device, name)] for device in planned.devices]
        return Loaded(host, tuple(map(_taken, logs, names)), tuple(lines))


def refuses(devices: Engine, model: Path) -> bool:
    """Whether the engine does not slice models of this architecture, which it says before it reads further."""
    with suppress(EngineError), started(devices, model, SLICES[0], (), ("not implemented for architecture",)):
        return True
    return False


def _work(lines: Sequence[str], options: EngineOptions) -> None:
    """Send one batch. Some models of zeros are the end of a worker then, which has its room by that time."""
    address = next(found[1] for found in map(_ADDRESS.search, lines) if found)
    tokens = [300 + place % 100 for place in range(options.ubatch)]
    path, body = ("/completion", {"prompt": [*tokens, 300], "n_predict": 1})
    if options.embeddings:
        path, body = ("/embedding", {"content": tokens})
    asked = urllib.request.Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with suppress(OSError, http.client.HTTPException), urllib.request.urlopen(asked, timeout=SECONDS) as answer:
        answer.read()


def _buffers(lines: Sequence[str]) -> list[str]:
    """The names of the buffers that all workers have, in the order in which they were taken."""
    key, found = "kv", []
    for line in lines:
        if "KV cache, size" in line:
            key = "kv" if "non-SWA" in line else "kv_swa"
        if told := _BUFFER.search(line):
            found.append(_NAMES.get(told[1], key))
    return found


def _taken(log: IO[bytes], names: Sequence[str]) -> Buffers:
    """What one worker took. Larger rooms for sums take the place of smaller ones: there are as many of each."""
    log.seek(0)
    sizes = [round(float(size) * _UNITS[unit]) for size, unit in _TAKEN.findall(log.read())]
    found = Buffers(compute=sum(size for size in sizes[len(names) :] if size == max(sizes[len(names) :])))
    for name, size in zip(names, sizes, strict=False):
        found += Buffers(**{name: size})
    return found
