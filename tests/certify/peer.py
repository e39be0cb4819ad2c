"""The peer: gguf-parser-go estimates the same sizes from the same files. A Go program that answers line by line."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.certify.cases import Case

HERE = Path(__file__).parent / "peer"
SECONDS = 600


class Peer:
    """It knows machines without GPUs here, and streams that are not unified as one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def asks(self, case: Case) -> Mapping[str, int] | None:
        """Bytes of `model`, `kv` and `compute`; None when it cannot say, and of devices, which it counts otherwise."""
        of = case.options
        if of.gpus:
            return None
        question = {
            "Path": str(case.path),
            "Context": of.context,
            "Parallel": of.parallel,
            "Batch": of.batch,
            "Ubatch": of.ubatch,
            "CacheTypeK": of.cache_type_k,
            "CacheTypeV": of.cache_type_v,
            "FlashAttention": of.flash_attention != "off",
            "SwaFull": of.swa_full,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return None if "error" in told else told


@contextmanager
def peer(folder: Path) -> Iterator[Peer]:
    """The program, built into the folder. RuntimeError when there is no Go, or it does not build."""
    if shutil.which("go") is None:
        raise RuntimeError("the peer needs Go")
    program = folder / "peer"
    built = subprocess.run(
        ["go", "build", "-o", str(program), "."], cwd=HERE, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if built.returncode:
        raise RuntimeError(f"the peer does not build: {built.stderr[-500:]}")
    words = [str(program)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Peer(process)
        finally:
            process.kill()
