"""A last look at verified files before a model gets them: a digest says what a source has, not whether it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.gguf.errors import GGUFError
from llmkube.gguf.reader import read_file, truncated
from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from llmkube.gguf.reader import Header


def complete(source: str) -> Callable[[Sequence[Path]], None]:
    """The check of a source's files, in order: each holds what its header declares; they are as many as it says."""

    def check(paths: Sequence[Path]) -> None:
        try:
            headers = [_header(source, path) for path in paths]
        except GGUFError as error:
            raise SourceError(error.reason, error.message) from None
        stated = {count for header in headers if (count := _split_count(header)) is not None} or {1}
        if stated != {len(paths)}:
            raise SourceError("Malformed", _miscounted(source, sorted(stated), len(paths)))

    return check


def _miscounted(source: str, stated: list[int], found: int) -> str:
    """The engine finds the parts of a split model by their names, so that another name is another number of them."""
    name = f"NAME-00001-of-{stated[0]:05d}.gguf" if stated[0] > 1 else "NAME.gguf"
    counts = " or ".join(str(count) for count in stated)
    return f"{source}: expected {counts} file(s), as the header says, found {found} by the name; it must be {name}"


def _header(source: str, path: Path) -> Header:
    try:
        header = read_file(path)
    except GGUFError as error:
        raise GGUFError(error.reason, error.message.replace(str(path), source)) from None
    size = path.stat().st_size
    if header.file_bytes > size:
        raise truncated(source, header.file_bytes, size)
    return header


def _split_count(header: Header) -> int | None:
    found = header.metadata.get("split.count")
    return found if isinstance(found, int) and found > 0 else None
