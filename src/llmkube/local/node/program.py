"""Which host program stands for a container's image and command.

There are no images on this machine: `llmkube` is this very interpreter, `llama-server` is the engine that is
installed, anything else is looked up on PATH. What cannot be found is an image that cannot be pulled, with a message
that says why.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmkube.local.objects import Object

FindEngine = Callable[[Mapping[str, str]], Sequence[str]]
"""The machine's environment to the argv prefix of llama-server; raises ProgramNotFoundError."""


class ProgramNotFoundError(Exception):
    """No program on this machine does what the image would; the message is one line."""


def engine_argv(environ: Mapping[str, str]) -> Sequence[str]:
    """The installed engine, as llmkube.local.engine finds it."""
    from llmkube.local.engine.find import EngineNotFound, find_engine

    try:
        return tuple(find_engine(environ).argv)
    except EngineNotFound as error:
        raise ProgramNotFoundError(str(error)) from error


def resolve(
    container: Object,
    command: Sequence[str],
    args: Sequence[str],
    *,
    search_path: str,
    find_engine: Callable[[], Sequence[str]],
) -> list[str]:
    """The argv to run for a container whose (rewritten) command and args these are."""
    if not command and is_engine_image(container.get("image", "")):
        return [*find_engine(), *args]
    if not command:
        raise ProgramNotFoundError(
            f"image {container.get('image', '')!r} of container {container['name']}: local mode runs host programs and "
            "this container names none; set command, or run it on a cluster"
        )
    match PurePosixPath(command[0]).name:
        case "llmkube":
            return [sys.executable, "-P", "-m", "llmkube", *command[1:], *args]
        case "llama-server":
            return [*find_engine(), *command[1:], *args]
    program = shutil.which(command[0], path=search_path)
    if program is None:
        raise ProgramNotFoundError(
            f"container {container['name']}: program {command[0]!r} is not on this machine's PATH; install it, or run "
            "this pod on a cluster"
        )
    return [program, *command[1:], *args]


def is_engine_image(image: str) -> bool:
    """`ghcr.io/ggml-org/llama.cpp:server-b1`: the repository's last part is llama.cpp."""
    repository = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return repository == "llama.cpp"
