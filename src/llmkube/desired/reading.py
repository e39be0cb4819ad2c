"""A Model's or an InferenceService's spec and status, as their types: what cannot be read is said, never raised.

Pure. An old object may break a rule that came later, and anybody with the right can write a status.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from pydantic import ValidationError

from llmkube.api.fields import Record
from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import ModelSpec
from llmkube.desired.conditions import one_line
from llmkube.desired.pod_trouble import Trouble
from llmkube.kube.errors import UNREADABLE

if TYPE_CHECKING:
    from llmkube.kube.objects import CustomResource

R = TypeVar("R", bound=Record)
S = TypeVar("S", ModelSpec, InferenceServiceSpec)
MOST_PROBLEMS = 5
REMEMBERED = 4096


def spec_of(obj: CustomResource, kind: type[S]) -> S | Trouble:
    """Return the spec, or why it is not one."""
    return _read(bytes(obj.spec), kind)


@lru_cache(maxsize=REMEMBERED)
def _read(content: bytes, kind: type[S]) -> S | Trouble:
    """An index, a watch and a reconcile ask about the same bytes within a moment."""
    try:
        return kind.model_validate(_decoded(content))
    except ValidationError as error:
        return Trouble("InvalidSpec", one_line("; ".join(_problems(error))))


def status_of(obj: CustomResource, kind: type[R]) -> R:
    """Return the status; an empty one when what is there cannot be read."""
    return cast("R", _read_status(bytes(obj.status), kind))


@lru_cache(maxsize=REMEMBERED)
def _read_status(content: bytes, kind: type[Record]) -> Record:
    """A Model's is read for every service of it."""
    try:
        return kind.model_validate(_decoded(content))
    except ValidationError:
        return kind()


class _Observed(msgspec.Struct, gc=False, rename="camel"):
    observed_generation: int = 0


def is_observed(obj: CustomResource) -> bool:
    """Return whether the status is of the spec as it is now."""
    try:
        status = msgspec.json.decode(obj.status, type=_Observed)
    except UNREADABLE:
        return False
    return status.observed_generation >= obj.metadata.generation


def _decoded(raw: msgspec.Raw | bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None


def _problems(error: ValidationError) -> list[str]:
    """One line for each, with its path; what was found is not repeated (it may be long, or secret)."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[:MOST_PROBLEMS]
    return [f"{'.'.join(['spec', *map(str, each['loc'])])}: {each['msg']}" for each in found]
