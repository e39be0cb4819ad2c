"""Reading what a person wrote: unknown fields are errors, and every problem names its path, as the API server would.

`problems` is the CLI's net; `explain` turns the same validation errors into one line for a reconciler's condition.
"""

from __future__ import annotations

import difflib
import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from llmkube.api.group import API_VERSION
from llmkube.api.inference import InferenceService
from llmkube.api.model import Model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

KINDS: Mapping[str, type[Model | InferenceService]] = {"Model": Model, "InferenceService": InferenceService}
_SHOWN = 60


class Problem(NamedTuple):
    """What is wrong with a document, and where."""

    path: str
    message: str

    def __str__(self) -> str:
        """Return the problem as one line, whatever the document holds."""
        line = f"{self.path}: {self.message}" if self.path else self.message
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class InvalidResource(ValueError):  # noqa: N818 - named as Kubernetes names the reason
    """A document that is no Model or InferenceService; the message is one line per problem."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep the problems, one line each in the message."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def parse(document: Mapping[str, Any]) -> Model | InferenceService:
    """Return the resource a document describes; raise InvalidResource with every problem that was found."""
    kind = KINDS.get(str(document.get("kind")))
    if kind is None or document.get("apiVersion") != API_VERSION:
        found = f"{document.get('apiVersion')} {document.get('kind')}"
        raise InvalidResource((Problem("", f"expected {API_VERSION} Model or InferenceService, found {found}"),))
    try:
        return kind.model_validate({key: value for key, value in document.items() if key != "status"}, extra="forbid")
    except ValidationError as error:
        if problems := tuple(_problems(error, kind)):
            raise InvalidResource(problems) from error
    return kind.model_validate(document)


def explain(error: ValidationError, *, under: str = "spec") -> str:
    """Return one line for a spec that did not validate on read, with the path of each problem below `under`."""
    return "; ".join(lines(error, under=under)[:5])


def lines(error: ValidationError, *, under: str = "") -> list[str]:
    """Return a line for each problem, with its path below `under`."""
    return [str(Problem(_path((under, *item["loc"]), item), _message(item))) for item in error.errors()]


def _problems(error: ValidationError, kind: type[BaseModel]) -> Iterator[Problem]:
    for item in error.errors():
        if item["type"] == "extra_forbidden" and item["loc"][0] == "metadata":
            continue  # the API server knows more of metadata than we do
        if item["type"] == "extra_forbidden":
            yield Problem(_path(item["loc"], item), f"unknown field{_suggestion(item['loc'], kind)}")
        else:
            yield Problem(_path(item["loc"], item), _message(item))


def _path(location: tuple[int | str, ...], item: ErrorDetails) -> str:
    below = str(item.get("ctx", {}).get("field", "")) if item["type"] == "rule" else ""
    path = ""
    for step in (*location, *([below] if below else [])):
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.lstrip(".")


def _message(item: ErrorDetails) -> str:
    """Say what was expected and what was found; pydantic's own words where they say it already."""
    context, found = item.get("ctx", {}), _shown(item["input"])
    match item["type"]:
        case "rule":
            return str(context["line"])
        case "missing":
            return "expected a value, found none; this field is required"
        case "literal_error":
            return f"expected {context['expected']}, found {found}{_yaml_trap(item['input'])}"
        case "string_type":
            return f"expected a text, found {found}; put it in quotes"
        case "string_pattern_mismatch":
            return f"expected a text that matches {context['pattern']}, found {found}"
        case "value_error":
            return str(context["error"])
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"expected an object, found {found}"
    return f"{item['msg'].replace('Input should be', 'expected').replace('Input should', 'should')}, found {found}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _yaml_trap(value: Any) -> str:
    if not isinstance(value, bool):
        return ""
    return f'; YAML reads a bare on or off as a boolean: write "{"on" if value else "off"}" with quotes'


def _suggestion(location: tuple[int | str, ...], kind: type[BaseModel]) -> str:
    """Return the closest name among the fields of the kind."""
    close = difflib.get_close_matches(str(location[-1]), _field_names(kind), n=1)
    return f"; did you mean {close[0]}?" if close else ""


@functools.cache
def _field_names(kind: type[BaseModel]) -> tuple[str, ...]:
    schema = kind.model_json_schema(by_alias=True)
    return tuple(sorted({name for part in (schema, *schema["$defs"].values()) for name in part.get("properties", ())}))
