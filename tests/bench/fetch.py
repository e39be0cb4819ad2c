"""What it takes to have a verified file: `llmkube fetch` against curl, then sha256sum; one server on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.figures import Figure

ROUNDS = 5
BLOCK = 1 << 24


class Cost(NamedTuple):
    """Seconds on the clock, and of CPU of everything that was started; the most memory of one process, in bytes."""

    wall: float
    cpu: float
    memory: int = 0


class Source(NamedTuple):
    url: str
    sha256: str


def ours(source: Source, folder: Path) -> list[str]:
    """The command as a Job's container runs it: start, download, digest, fsync, rename, link."""
    subject = ["--namespace", "bench", "--name", "model", "--sha256", source.sha256]
    how = ["--cache", str(folder), "--allow", "127.0.0.0/8", "--progress", "none"]
    return [sys.executable, "-m", "llmkube", "fetch", source.url, *subject, *how]


def curl(source: Source, folder: Path) -> list[str]:
    """A download and then a check, which nothing puts on disk."""
    check = f"echo '{source.sha256}  {folder}/model.gguf' | sha256sum --check --quiet"
    return ["sh", "-c", f"curl -sSf -o {folder}/model.gguf {source.url} && {check}"]


def curl_synced(source: Source, folder: Path) -> list[str]:
    """The same, and on disk at the end as ours is."""
    return ["sh", "-c", f"{curl(source, folder)[2]} && sync {folder}/model.gguf"]


def curl_openssl(source: Source, folder: Path) -> list[str]:
    """With OpenSSL's sha256, which uses the instructions that processors have for it; coreutils mostly does not."""
    check = f"openssl dgst -sha256 {folder}/model.gguf | grep -q {source.sha256}"
    return ["sh", "-c", f"curl -sSf -o {folder}/model.gguf {source.url} && {check}"]


def cost(command: list[str]) -> Cost:
    """Run it to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory = [0]
    watching = threading.Thread(target=watch, args=(process.pid, memory))
    watching.start()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed with {process.returncode}: {' '.join(command)}")
    spent = Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime)
    watching.join()
    return spent._replace(memory=memory[0])


def watch(pid: int, memory: list[int]) -> None:
    """The most that a process has had in memory; wait4 would tell of ours before its exec, too."""
    with contextlib.suppress(OSError, IndexError):
        while found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()):
            memory[0] = int(found[1]) * 1024
            time.sleep(0.05)


@contextlib.contextmanager
def served(place: Path, size: int) -> Iterator[Source]:
    """A file that begins as a GGUF does, in the page cache, and a server of it."""
    path, sha256 = place / "source.gguf", hashlib.sha256()
    with path.open("wb") as file:
        for at in range(0, size, BLOCK):
            block = os.urandom(min(BLOCK, size - at))
            block = b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + block[24:] if at == 0 else block
            sha256.update(block)
            file.write(block)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.file_server", str(path)], stdin=pipe, stdout=pipe
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield Source(f"http://127.0.0.1:{int(server.stdout.readline())}/model.gguf", sha256.hexdigest())
        server.stdin.close()


def run(size: int, rounds: int) -> dict[str, list[Cost]]:
    """By turns, each into an empty folder on a disk that has nothing left to write."""
    contenders: dict[str, Callable[[Source, Path], list[str]]] = {
        "ours": ours,
        "curl": curl,
        "synced": curl_synced,
        "openssl": curl_openssl,
    }
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "build") as temporary:
        place = Path(temporary)
        with served(place, size) as source:
            for _ in range(rounds):
                for name, command in contenders.items():
                    folder = place / name
                    folder.mkdir()
                    os.sync()
                    costs[name].append(cost(command(source, folder)))
                    shutil.rmtree(folder)
    return costs


def figures(size: int, rounds: int = ROUNDS) -> list[Figure]:
    """Ratios of each round's times, of which the median counts."""
    Path("build").mkdir(exist_ok=True)
    costs = run(size, rounds)

    def ratio(peer: str) -> float:
        return statistics.median(b.wall / a.wall for a, b in zip(costs["ours"], costs[peer], strict=True))

    def cpu(name: str) -> float:
        return statistics.median(each.cpu for each in costs[name])

    def wall(name: str) -> float:
        return statistics.median(each.wall for each in costs[name])

    what = f"fetch and verify {size / (1 << 30):.3g} GiB from loopback"
    times = ", ".join(f"{each.wall:.2f}" for each in costs["ours"])
    return [
        Figure(f"{what}: speed", ratio("curl"), f"of {wall('curl'):.2f} s", "curl, then sha256sum", 1.0),
        Figure("  speed", ratio("synced"), f"of {wall('synced'):.2f} s", "curl, sha256sum, then sync as ours does"),
        Figure("  speed", ratio("openssl"), f"of {wall('openssl'):.2f} s", "curl, then openssl dgst -sha256"),
        Figure("  time", wall("ours"), f"s ({times})"),
        Figure("  CPU", cpu("ours") / cpu("curl"), f"of {cpu('curl'):.2f} s", "curl and sha256sum"),
        Figure(
            "  resident", max(each.memory for each in costs["ours"]) / (1 << 20), "MiB", "limit", 128, at_least=False
        ),
    ]
