"""Builds the control plane's binary once per version and source, and finds it again in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hack.controlplane.module import (
    HERE,
    MAIN,
    ControlPlaneError,
    checked,
    default_version,
    environment,
    go,
    last_lines,
    run_go,
    write_module,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION_PACKAGE = "k8s.io/component-base/version"
BUILD_PATIENCE = 3600.0
NEWS_EVERY = 30.0
TICK = 0.5


def say(text: str) -> None:
    """Tell a person how far we are."""
    print(f"controlplane: {text}", file=sys.stderr, flush=True)


def binary(version: str | None = None) -> Path:
    """Return the binary of a version of Kubernetes (the committed one for None), built if it is not in the cache."""
    wanted = checked(version) if version else default_version()
    path = cached(wanted)
    if path.exists():
        return path
    go()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_builder(path.parent):
        if not path.exists():
            _build(wanted, path)
    return path


def cached(version: str) -> Path:
    """Return where the binary of a version is kept: sources that differ never share a binary."""
    sources = [MAIN, *(HERE / name for name in ("go.mod", "go.sum") if version == default_version())]
    digest = hashlib.sha256(f"{version} {sys.platform} {platform.machine()}".encode())
    for source in sources:
        digest.update(source.read_bytes())
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "llmkube", "controlplane", digest.hexdigest()[:16], f"kubernetes-{version}")


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
                raise ControlPlaneError(f"{folder / 'lock'}: another process has held it for {BUILD_PATIENCE:.0f} s")
            time.sleep(TICK)
        yield


def _locks(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _build(version: str, path: Path) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="controlplane-", dir=path.parent) as folder:
        source = HERE
        if version != default_version():
            source = Path(folder, "source")
            say(f"resolving the modules of Kubernetes {version}")
            write_module(source, version)
        compiler = run_go("env", "GOVERSION", folder=source).strip()
        say(f"building Kubernetes {version} with {compiler}: some minutes, once")
        draft = Path(folder, "binary")
        _compile(source, version, draft)
        draft.replace(path)
    say(f"built {path} ({path.stat().st_size >> 20} MiB) in {time.monotonic() - began:.0f} s")


def _compile(source: Path, version: str, out: Path) -> None:
    command = [
        go(),
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        flags(version),
        "-o",
        str(out),
        ".",
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
        raise ControlPlaneError(f"go build failed in {source}:\n{last_lines(log.read_text())}")


def _wait(builder: subprocess.Popen[bytes]) -> int:
    """Wait for the end of the build and return its status; says now and then that it still goes on."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < BUILD_PATIENCE:
        try:
            return builder.wait(timeout=NEWS_EVERY)
        except subprocess.TimeoutExpired:
            say(f"still building, {passed + NEWS_EVERY:.0f} s")
    raise ControlPlaneError(f"go build took longer than {BUILD_PATIENCE:.0f} s")


def flags(version: str) -> str:
    """Return the linker's flags: no debugging symbols, and the version that the API server tells at /version."""
    major, minor, _ = version.split(".")
    told = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s", "-w", *(f"-X {VERSION_PACKAGE}.{name}={value}" for name, value in told.items())])
