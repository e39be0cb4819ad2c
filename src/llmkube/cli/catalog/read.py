"""The catalogue that is shipped, and a person's own files over it: an entry of the same id takes the other's place.

Own files are named by --catalog, else by $LLMKUBE_CATALOG (several with the system's path separator).
"""

from __future__ import annotations

import difflib
import functools
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmkube.cli.catalog.entries import Catalogue, Entry
from llmkube.cli.errors import InputError, MissingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError

VARIABLE = "LLMKUBE_CATALOG"
MAX_BYTES = 16 * 1024 * 1024


def entries(own: Iterable[str] = ()) -> dict[str, Entry]:
    """Return all entries by id, sorted by family and size as shipped, then the own ones; InputError for a bad file."""
    return {**shipped(), **own_entries(own)}


def own_entries(own: Iterable[str] = ()) -> dict[str, Entry]:
    """Return the entries of own files alone; a later file's take the place of an earlier one's."""
    named = tuple(own) or tuple(one for one in os.environ.get(VARIABLE, "").split(os.pathsep) if one)
    found: dict[str, Entry] = {}
    for name in named:
        found |= _entries(name, _text(Path(name)))
    return found


@functools.cache
def shipped() -> Mapping[str, Entry]:
    """Return the entries of the package's own files."""
    found: dict[str, Entry] = {}
    folder = files("llmkube.cli.catalog") / "models"
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            found |= _entries(file.name, file.read_text(encoding="utf-8"))
    return found


def entry(model: str, own: Iterable[str] = ()) -> Entry:
    """Return the entry of an id; MissingError with the ids that look alike when there is none."""
    known = entries(own)
    if model in known:
        return known[model]
    close = difflib.get_close_matches(model.lower(), known, n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    raise MissingError(f"{model}: expected a model of the catalogue, found none{hint} (llmkube catalog list shows all)")


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, found other bytes at offset {error.start}") from None
    if len(text) > MAX_BYTES:
        raise InputError(f"{path}: expected at most {MAX_BYTES} bytes of catalogue, found more; split it")
    return text


def _entries(origin: str, text: str) -> dict[str, Entry]:
    from pydantic import ValidationError

    try:
        read = Catalogue.model_validate(_document(origin, text)).models
    except ValidationError as error:
        raise InputError(f"{origin}: {_problem(error)}") from None
    found = {one.id: one for one in read}
    if len(found) < len(read):
        twice = next(one.id for number, one in enumerate(read) if one.id in {each.id for each in read[:number]})
        raise InputError(f"{origin}: expected each id once, found {twice!r} twice; rename one")
    return found


def _document(origin: str, text: str) -> dict[str, Any]:
    from llmkube.cli.documents import objects

    found = [content for _, content in objects(origin, text)]
    if len(found) != 1:
        raise InputError(f"{origin}: expected one YAML document with a list `models`, found {len(found)}")
    return found[0]


def _problem(error: ValidationError) -> str:
    """The first problem, by its path; a file with one mistake tends to have it everywhere."""
    from llmkube.api.strict import lines as lines_of

    lines = lines_of(error)
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return f"{lines[0]}{more}"
