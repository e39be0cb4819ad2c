"""What Pythons do differently with `except*`, told by the sources: the tests run on one Python."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(each for folder in ("src", "tests", "hack") for each in (ROOT / folder).rglob("*.py"))


def raised_inside(tree: ast.AST) -> list[int]:
    """The lines on which an except* clause raises: Python before 3.11.4 wraps even a single error in a group there."""
    handlers = [handler for each in ast.walk(tree) if isinstance(each, ast.TryStar) for handler in each.handlers]
    return [inner.lineno for handler in handlers for inner in ast.walk(handler) if isinstance(inner, ast.Raise)]


def test_no_error_is_raised_inside_except_star() -> None:
    found = {str(each.relative_to(ROOT)): raised_inside(ast.parse(each.read_text())) for each in SOURCES}
    assert [f"{file}:{line}" for file, lines in found.items() for line in lines] == []


def test_one_that_is_raised_there_is_found() -> None:
    source = "try:\n    f()\nexcept* OSError as errors:\n    raise errors.exceptions[0]\n"
    assert raised_inside(ast.parse(source)) == [4]
