"""The matrices of docs/reliability.md and docs/security.md name tests that are there."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"
SECURITY = ROOT / "docs" / "security.md"
PLACES = (ROOT / "tests", ROOT / "src" / "llmkube", ROOT)
_REFERENCE = re.compile(r"`(?P<file>[\w./-]+\.py)?(?:::(?P<name>[\w*]+))?`")


class Reference(NamedTuple):
    """A file, below tests/, src/llmkube or the root; and the name of a test of it, which may end in a star."""

    file: str
    name: str


def references(text: str) -> list[Reference]:
    """Return what a document refers to; `::name` alone is of the file that was named last."""
    found, last = [], ""
    for match in _REFERENCE.finditer(text):
        last = match["file"] or last
        found.append(Reference(last, match["name"] or ""))
    return found


@cache
def named_in(file: str) -> list[str]:
    """Return the names of a file's tests, without their `test_`."""
    tree = ast.parse((ROOT / "tests" / file).read_text())
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [each.name.removeprefix("test_") for each in functions if each.name.startswith("test_")]


def is_there(reference: Reference) -> bool:
    if not reference.name:
        return any((place / reference.file).is_file() for place in PLACES)
    if not (ROOT / "tests" / reference.file).is_file():
        return False
    return any(fnmatchcase(each, reference.name) for each in named_in(reference.file))


def test_every_test_that_the_matrix_names_is_there() -> None:
    found = references(DOCUMENT.read_text())
    assert len(found) > 100
    assert [f"{each.file}::{each.name}" for each in found if not is_there(each)] == []


def test_every_threat_is_shown_to_be_met_by_tests_that_are_there() -> None:
    _, _, rest = SECURITY.read_text().partition("## Threats")
    rows = [each for each in rest.partition("Not done")[0].splitlines() if each.startswith("| ")][1:]
    assert len(rows) > 10
    assert [each for each in rows if not references(each)] == []
    named = [reference for each in rows for reference in references(each)]
    assert [f"{each.file}::{each.name}" for each in named if not is_there(each)] == []


def test_every_row_of_the_matrix_names_a_test_or_says_where_else_it_is_shown() -> None:
    lines = DOCUMENT.read_text().splitlines()
    rows = [each for each, below in pairwise(lines) if each.startswith("| ") and not below.startswith("|---")]
    assert [each for each in rows if not references(each) and "hack/" not in each] == []


@pytest.mark.parametrize(
    "text",
    [
        "`unit/test_documentation.py::no_such_test`",
        "`unit/test_nowhere.py`",
        "`unit/test_nowhere.py::anything`",
        "`unit/test_documentation.py` and `::no_such_*`",
        "`unit/test_documentation.py::every_test_that_the_matrix`",
    ],
)
def test_a_test_that_is_not_there_is_found(text: str) -> None:
    assert not all(is_there(each) for each in references(text))
