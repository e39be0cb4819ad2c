"""How the layers of a model are divided among the GPUs of a pod, as the person says it and as the engine is told.

    split_mode(model: ModelSpec) -> str                               llama-server's --split-mode
    counts(ranges: Sequence[str], layers: int) -> tuple[int, ...]     layers of each GPU, the output layer with the last
    row_trouble(model: ModelSpec, count: int, build: Build) -> Trouble | None

SplitError says what is wrong with a layerSplit. Layers are counted from 0; the output layer is the one after the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.pod_trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.api.model import ModelSpec
    from llmkube.desired.engine.build import Build

PATH = "Model spec.hardware.gpu.sharding.layerSplit"
STRATEGY = "Model spec.hardware.gpu.sharding.strategy"


WITHOUT_ROWS = 11549
"""The oldest build known to have no split by rows on CUDA and ROCm (ggml: "CUDA: remove -sm row", July 2026)."""
BY_ROWS = "intel"
"""The accelerator whose backend (SYCL) still has it. Vulkan never had."""


class SplitError(ValueError):
    """A layerSplit that does not divide the model's layers. One line."""


def split_mode(model: ModelSpec) -> str:
    """Return the mode; what others call a pipeline is the split by layers."""
    sharding = model.hardware.gpu.sharding if model.hardware.gpu else None
    strategy = sharding.strategy if sharding else "layer"
    return "layer" if strategy == "pipeline" else strategy


def row_trouble(model: ModelSpec, count: int, build: Build) -> Trouble | None:
    """Return that an engine of this build ends at a split by rows: its devices "do not support split buffers"."""
    accelerator = model.hardware.accelerator
    if split_mode(model) != "row" or count < 2 or accelerator == BY_ROWS or (build.number or 0) < WITHOUT_ROWS:
        return None
    wanted = f"expected tensor or layer on {accelerator} with llama.cpp b{build.number}, found row"
    return Trouble("EngineRefuses", f"{STRATEGY}: {wanted}; it has a split by rows for {BY_ROWS} alone")


def layer_split(model: ModelSpec) -> tuple[str, ...]:
    """Return the ranges that the person gives; none by default."""
    sharding = model.hardware.gpu.sharding if model.hardware.gpu else None
    return (sharding and sharding.layer_split) or ()


def counts(ranges: Sequence[str], layers: int) -> tuple[int, ...]:
    """Return how many layers each GPU gets; they must follow one another from 0 to the last."""
    following, found = 0, []
    for index, text in enumerate(ranges):
        first, last = (int(number) for number in text.split("-"))
        if first != following or last < first:
            wanted = f"a range that begins with layer {following}"
            raise SplitError(f"{PATH}[{index}]: expected {wanted}, found {text}; the ranges must follow one another")
        following = last + 1
        found.append(last - first + 1)
    if following not in {layers, layers + 1}:
        wanted = f"{layers} layers (0 to {layers - 1}, or to {layers} with the output layer)"
        raise SplitError(f"{PATH}: expected {wanted}, found {following}; make the last range end with {layers - 1}")
    found[-1] += layers + 1 - following
    return tuple(found)
