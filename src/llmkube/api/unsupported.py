"""What the API describes but LLMKube does not honour yet: reconcilers refuse it with these lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.api.model import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.api.inference import InferenceServiceSpec


def unsupported(spec: ModelSpec | InferenceServiceSpec) -> list[str]:
    """Return a line for each path of the spec whose behaviour comes later: the path, what is not done, what to do."""
    found = _of_model(spec) if isinstance(spec, ModelSpec) else _of_inference(spec)
    return [f"spec.{path}: {line}" for path, line in found]


def _of_model(spec: ModelSpec) -> Iterator[tuple[str, str]]:
    yield from _of_sharding(spec)


def _of_sharding(spec: ModelSpec) -> Iterator[tuple[str, str]]:
    sharding = spec.hardware.gpu.sharding if spec.hardware.gpu else None
    if sharding is None:
        return
    if sharding.strategy != "layer":
        yield "hardware.gpu.sharding.strategy", f"{sharding.strategy} is not honoured yet; use layer"
    if sharding.layer_split:
        yield "hardware.gpu.sharding.layerSplit", "own splits are not honoured yet; remove it for an even split"


_INFERENCE = (("reasoning", "reasoning", "reasoning options are not rendered yet; remove it"),)


def _of_inference(spec: InferenceServiceSpec) -> Iterator[tuple[str, str]]:
    for attribute, path, line in _INFERENCE:
        if getattr(spec, attribute):
            yield path, line
