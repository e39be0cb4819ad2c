"""How long, and with how much memory, the header of a vocabulary-heavy model is read: ours, and gguf's GGUFReader.

Each runs in a process of its own, so that its memory is its own (getrusage would tell the parent's, too); the time is
of the reading alone, without the imports.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import tiny
from tests.bench.figures import Figure

MEBIBYTE = 1 << 20
RESIDENT = """
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024
"""
OURS = """
import json, sys, time
from pathlib import Path
from llmkube.gguf.facts import facts
from llmkube.gguf.reader import read_file
from llmkube.gguf.tables import tables
tables()
began = time.perf_counter()
found = facts(read_file(Path(sys.argv[1])))
took = time.perf_counter() - began
assert found.vocabulary_size
print(json.dumps([took, resident()]))
"""
THEIRS = """
import json, sys, time
from gguf import GGUFReader
began = time.perf_counter()
found = GGUFReader(sys.argv[1])
took = time.perf_counter() - began
assert found.tensors
print(json.dumps([took, resident()]))
"""


def figures(vocabulary: int, size: int, rounds: int = 3) -> list[Figure]:
    """Rounds of both, one after the other; `size` of the file in bytes."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "m.gguf")
        header, tensors = tiny.header(vocabulary)
        tiny.write_sparse(path, header, max(size, len(header) + tensors))
        pairs = [(_measured(OURS, path), _measured(THEIRS, path)) for _ in range(rounds)]
    ratio = statistics.median(theirs[0] / ours[0] for ours, theirs in pairs)
    what = f"header of {size // MEBIBYTE} MiB, {vocabulary} tokens"
    return [
        Figure(f"{what}: speed", ratio, "x", "gguf GGUFReader", 50.0),
        Figure(f"{what}: time", statistics.median(ours[0] for ours, _ in pairs), "s"),
        Figure(f"{what}: GGUFReader's time", statistics.median(theirs[0] for _, theirs in pairs), "s"),
        Figure(f"{what}: resident", max(ours[1] for ours, _ in pairs) / MEBIBYTE, "MiB", "", 64.0, at_least=False),
        Figure(f"{what}: GGUFReader's resident", max(theirs[1] for _, theirs in pairs) / MEBIBYTE, "MiB"),
    ]


def _measured(program: str, path: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", RESIDENT + program, str(path)], capture_output=True, text=True, check=True
    )
    seconds, resident = json.loads(done.stdout)
    return seconds, resident
