"""Where the tests find a real llama.cpp: what the person named, what PATH has, or what hack/engine has fetched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

VARIABLE = "LLMKUBE_LLAMA_SERVER"
MISSING = f"run hack/engine once, or set {VARIABLE}"


def program(name: str) -> str | None:
    """The path of one of llama.cpp's programs, which all lie beside its llama-server."""
    named = os.environ.get(VARIABLE)
    if named:
        beside = Path(named).parent / name
        return str(beside) if beside.exists() else None
    return shutil.which(name) or _fetched(name)


def _fetched(name: str) -> str | None:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    found = Path(cache) / "llmkube" / "engine" / os.environ.get("SUITE", "sid") / "bin" / name
    return str(found) if found.exists() else None
