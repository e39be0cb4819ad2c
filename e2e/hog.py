"""Takes the memory of a container's cgroup until the kernel must kill what runs there; needs root on the node."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 16 * 2**20
TAKE = f"""
import sys, time
sys.stdin.readline()
held = []
while True:
    held.append(bytearray(b"x") * {PIECE})
    time.sleep(0.01)
"""


def cgroup(pid: int) -> Path:
    """Return the folder of the memory cgroup that a process is in (version 1 or 2)."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    where = next(
        (Path("/sys/fs/cgroup/memory") / path[1:] for _, name, path in lines if "memory" in name.split(",")), None
    )
    return where or Path("/sys/fs/cgroup") / next(path[1:] for number, _, path in lines if number == "0")


@contextmanager
def hog(pid: int) -> Iterator[None]:
    """Fill the cgroup of `pid` from outside; the kernel kills the engine first, as kubelets rate pods so."""
    taker = subprocess.Popen([sys.executable, "-c", TAKE], stdin=subprocess.PIPE)
    try:
        (cgroup(pid) / "cgroup.procs").write_text(str(taker.pid))
        assert taker.stdin is not None
        taker.stdin.write(b"\n")
        taker.stdin.flush()
        yield
    finally:
        taker.kill()
        taker.communicate()
