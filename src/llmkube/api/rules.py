"""A rule that spans several fields of a spec, written once for three nets: the API server, the reconcilers and the CLI.

A rule carries a CEL expression for the CRD and the same decision in Python; a test feeds both the same specs and
asserts that they agree. A rule never looks outside its object: what needs facts is the reconcilers' matter.
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
    found: str
    """What was found, with %s and %d for the values below. CEL's format is used because the API server cannot price
    string(number) in a concatenation."""
    fix: str
    found_cel: tuple[str, ...] = ()
    """CEL expressions of the values."""
    values: Callable[[Any], tuple[Any, ...]] = lambda _: ()
    """The same values in Python."""
    field: str = ""
    """The JSON name of the field at fault, below the object that carries the rule."""

    def message(self, subject: Any) -> str:
        """Return the line for an object that breaks the rule."""
        return self._template % self.values(subject)

    def schema(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`; `message` is what remains when the expression fails."""
        entry = {"rule": self.cel, "message": f"expected {self.expected}; {self.fix}"}
        if self.found_cel:
            entry["messageExpression"] = f"{_quoted(self._template)}.format([{', '.join(self.found_cel)}])"
        else:
            entry["message"] = self._template
        return entry | {"fieldPath": f".{self.field}"} if self.field else entry

    @property
    def _template(self) -> str:
        return f"expected {self.expected}, found {self.found}; {self.fix}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
