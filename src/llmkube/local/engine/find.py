"""Finds a llama.cpp server on this machine. It looks and answers; it starts nothing and installs nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "LLMKUBE_LLAMA_SERVER"
PROGRAM = "llama-server"
PACKAGE = "xllamacpp"


class Engine(NamedTuple):
    """How to start a server: the words before its flags, and where they were found."""

    argv: tuple[str, ...]
    origin: str


class EngineNotFound(Exception):  # noqa: N818 - a state of the machine, shown to people as a reason
    """There is no engine; the message is one line that says how to get one."""


def find_engine(environ: Mapping[str, str]) -> Engine:
    """Return the engine: what LLMKUBE_LLAMA_SERVER names, else llama-server on PATH, else the package xllamacpp."""
    if named := environ.get(VARIABLE):
        return _named(named)
    if program := shutil.which(PROGRAM, path=environ.get("PATH", os.defpath)):
        return Engine((program,), "PATH")
    if importlib.util.find_spec(PACKAGE) is not None:
        return Engine((sys.executable, "-m", "llmkube.local.engine"), PACKAGE)
    raise EngineNotFound(
        f"no llama.cpp found: expected {VARIABLE}, {PROGRAM} on PATH or the Python package {PACKAGE}, found none; "
        f"install the package with pip install '{PACKAGE}', or install llama.cpp"
    )


def _named(path: str) -> Engine:
    """Return the engine that the person named; a wrong name is an error, never a reason to take another engine."""
    program = Path(path).expanduser()
    if not (program.is_file() and os.access(program, os.X_OK)):
        raise EngineNotFound(f"{VARIABLE}: expected the path of an executable, found {path}; correct or unset it")
    return Engine((str(program),), VARIABLE)
