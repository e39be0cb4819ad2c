"""A rule that spans several fields of a spec, written once for three nets: the API server, the reconcilers and the CLI.

A rule carries a CEL expression for the CRD and the same decision in Python; a test feeds both the same specs and
asserts that verdict and message agree. A rule never looks outside its object: what needs facts is a reconciler's condition.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """What must hold for an object, and the one line that says what was expected, what was found and what to do."""

    cel: str
    holds: Callable[[Any], bool]
    expected: str
    fix: str
    found_cel: str
    """A CEL expression of type string: what was found."""
    found: Callable[[Any], str]
    field: str = ""
    """The JSON name of the field at fault, below the object that carries the rule."""

    def message(self, subject: Any) -> str:
        """Return the line for an object that breaks the rule."""
        return f"expected {self.expected}, found {self.found(subject)}; {self.fix}"

    def schema(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`; `message` is what remains when the expression fails."""
        before = _quoted(f"expected {self.expected}, found ")
        entry = {
            "rule": self.cel,
            "message": f"expected {self.expected}; {self.fix}",
            "messageExpression": f"{before} + {self.found_cel} + {_quoted('; ' + self.fix)}",
        }
        return entry | {"fieldPath": f".{self.field}"} if self.field else entry


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
