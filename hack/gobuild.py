"""Programs that tests need and that are built from Go modules: once per source, kept in the user's cache.

binary(FOLDER, NAME)     the program of a folder with go.mod, go.sum and main.go
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLDEST_GO = "1.26"
GO_PATIENCE = 900.0
BUILD_PATIENCE = 3600.0
NEWS_EVERY = 30.0
TICK = 0.5
LAST_LINES = 15
MODULE_FILES = ("main.go", "go.mod", "go.sum")


class BuildError(Exception):
    """The program cannot be had, for a reason that a person can mend; the message begins with one line."""


def binary(folder: Path) -> Path:
    """Return the program that a folder's committed module makes, built if it is not in the cache."""
    path = cached(folder.name, *((folder / each).read_bytes() for each in MODULE_FILES)) / folder.name
    return built(path, lambda draft: compiled(folder, draft, flags="-s -w"))


def cached(name: str, *sources: bytes, version: str = "") -> Path:
    """Return the folder of what is built from these sources here: sources that differ never share one."""
    digest = hashlib.sha256(f"{version} {sys.platform} {platform.machine()}".encode())
    for source in sources:
        digest.update(source)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "llmkube", name, digest.hexdigest()[:16])


def built(path: Path, build: Callable[[Path], None]) -> Path:
    """Return the path once it is there; `build` makes it under another name first, in one process at a time."""
    if path.exists():
        return path
    go()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_builder(path.parent):
        if not path.exists():
            began = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="build-", dir=path.parent) as folder:
                draft = Path(folder, "binary")
                build(draft)
                draft.replace(path)
            say(f"built {path} ({path.stat().st_size >> 20} MiB) in {time.monotonic() - began:.0f} s")
    return path


def compiled(source: Path, out: Path, *, flags: str, package: str = ".") -> None:
    """Compile a folder's program, or that of a package which its module requires; `flags` are the linker's."""
    compiler = run_go("env", "GOVERSION", folder=source).strip()
    say(f"building {source} with {compiler}: some minutes, once")
    command = [
        go(),
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        flags,
        "-o",
        str(out),
        package,
    ]
    log = out.with_name("log")
    with log.open("w") as output:
        builder = subprocess.Popen(command, cwd=source, env=environment(), stdout=output, stderr=output)
        try:
            status = _wait(builder)
        finally:
            builder.kill()
            builder.wait()
    if status:
        raise BuildError(f"go build failed in {source}:\n{last_lines(log.read_text())}")


def say(text: str) -> None:
    """Tell a person how far we are."""
    print(f"build: {text}", file=sys.stderr, flush=True)


def go() -> str:
    """Return the path of Go."""
    found = shutil.which("go")
    if not found:
        raise BuildError(
            f"it is built with Go, which was not found: install Go {OLDEST_GO} or newer "
            "(https://go.dev/dl) and put its bin folder on PATH"
        )
    return found


def run_go(*arguments: str, folder: Path) -> str:
    """Run Go in a folder and return what it printed."""
    try:
        done = subprocess.run(
            [go(), *arguments],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=GO_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"go {arguments[0]} took longer than {GO_PATIENCE:.0f} s in {folder}") from error
    if done.returncode:
        raise BuildError(f"go {' '.join(arguments)} failed in {folder}:\n{last_lines(done.stderr or done.stdout)}")
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment of Go: no C compiler, and no workspace that this checkout may lie in."""
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


def last_lines(text: str) -> str:
    """Return the end of a log."""
    return "\n".join(text.rstrip().splitlines()[-LAST_LINES:])


@contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: whoever comes second waits, and finds the binary."""
    deadline = time.monotonic() + BUILD_PATIENCE
    with (folder / "lock").open("w") as lock:
        told = False
        while not _locks(lock.fileno()):
            if not told:
                say(f"another process builds {folder}; waiting for it")
                told = True
            if time.monotonic() > deadline:
                raise BuildError(f"{folder / 'lock'}: another process has held it for {BUILD_PATIENCE:.0f} s")
            time.sleep(TICK)
        yield


def _locks(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(builder: subprocess.Popen[bytes]) -> int:
    """Wait for the end of the build and return its status; says now and then that it still goes on."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < BUILD_PATIENCE:
        try:
            return builder.wait(timeout=NEWS_EVERY)
        except subprocess.TimeoutExpired:
            say(f"still building, {passed + NEWS_EVERY:.0f} s")
    raise BuildError(f"go build took longer than {BUILD_PATIENCE:.0f} s")


if __name__ == "__main__":
    print(binary(Path(sys.argv[1])))
