"""What the API describes but LLMKube does not honour yet: reconcilers refuse it with these lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.api.model import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.api.inference import InferenceServiceSpec


def unsupported(spec: ModelSpec | InferenceServiceSpec) -> list[str]:
    """Return a line for each path of the spec whose behaviour comes later: the path, what is not done, what to do."""
    found = () if isinstance(spec, ModelSpec) else _of_inference(spec)
    return [f"spec.{path}: {line}" for path, line in found]


_INFERENCE: tuple[tuple[str, str, str], ...] = ()
"""Attribute, path and line; empty while everything is honoured."""


def _of_inference(spec: InferenceServiceSpec) -> Iterator[tuple[str, str]]:
    for attribute, path, line in _INFERENCE:
        if getattr(spec, attribute):
            yield path, line
