"""The control plane's binary, one for each version of Kubernetes and source of ours."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hack import gobuild
from hack.controlplane.module import HERE, MAIN, checked, default_version, write_module

VERSION_PACKAGE = "k8s.io/component-base/version"


def binary(version: str | None = None) -> Path:
    """Return the binary of a version of Kubernetes (the committed one for None), built if it is not in the cache."""
    wanted = checked(version) if version else default_version()
    return gobuild.built(cached(wanted), lambda draft: _compile(wanted, draft))


def cached(version: str) -> Path:
    """Return where the binary of a version is kept."""
    sources = [MAIN, *(HERE / name for name in ("go.mod", "go.sum") if version == default_version())]
    folder = gobuild.cached("controlplane", *(each.read_bytes() for each in sources), version=version)
    return folder / f"kubernetes-{version}"


def _compile(version: str, draft: Path) -> None:
    if version == default_version():
        gobuild.compiled(HERE, draft, flags=flags(version))
        return
    with tempfile.TemporaryDirectory(prefix="module-", dir=draft.parent) as folder:
        gobuild.say(f"resolving the modules of Kubernetes {version}")
        write_module(Path(folder), version)
        gobuild.compiled(Path(folder), draft, flags=flags(version))


def flags(version: str) -> str:
    """Return the linker's flags: no debugging symbols, and the version that the API server tells at /version."""
    major, minor, _ = version.split(".")
    told = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s", "-w", *(f"-X {VERSION_PACKAGE}.{name}={value}" for name, value in told.items())])
