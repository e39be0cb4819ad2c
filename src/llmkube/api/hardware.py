"""What a model runs on: the accelerator, and the GPUs it is split over."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from llmkube.api.fields import LIST_ATOMIC, Quantity, Record
from llmkube.api.rules import Rule

Accelerator = Literal["cpu", "cuda", "rocm", "metal", "vulkan", "intel"]
Vendor = Literal["nvidia", "amd", "intel"]
_VENDORS: dict[str, Vendor] = {"cuda": "nvidia", "rocm": "amd", "intel": "intel"}
_LayerRange = Annotated[str, Field(max_length=16, pattern=r"^[0-9]+-[0-9]+$")]


class Sharding(Record):
    """How the model's layers are divided among the GPUs of a pod."""

    strategy: Literal["layer", "tensor", "pipeline", "row", "none"] = "layer"
    """How to split: layer (or pipeline, the same) gives each GPU whole layers; row and tensor give each GPU a part of
    every matrix; none leaves all on the first GPU."""
    layer_split: Annotated[tuple[_LayerRange, ...], Field(max_length=64, json_schema_extra=LIST_ATOMIC)] | None = None
    """The layers of each GPU, one range per GPU from layer 0 on, e.g. ["0-15", "16-31"]; the last GPU has the output
    layer too."""


class GPU(Record):
    """The GPUs that one pod needs."""

    enabled: bool | None = None
    """Whether GPUs are used at all; by default they are when count is above 0."""
    count: Annotated[int, Field(ge=0, le=64, json_schema_extra={"format": "int32"})] | None = None
    """Number of GPUs per pod; 1 when only enabled is set."""
    memory: Quantity | None = None
    """Memory of each GPU, e.g. 8Gi: the plan fits the layers into it."""
    vendor: Vendor | None = None
    """Whose GPUs, which decides the extended resource to ask for; by default the accelerator's vendor."""
    layers: Annotated[int, Field(ge=-1, le=10000, json_schema_extra={"format": "int32"})] | None = None
    """Number of layers on the GPUs; -1, the default, means as many as fit."""
    sharding: Sharding | None = None
    """How to split the model when count is above 1."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="sharding",
            cel="!has(self.sharding) || !has(self.sharding.layerSplit) || size(self.sharding.layerSplit) == 0 || "
            "size(self.sharding.layerSplit) == (has(self.count) ? self.count : 1)",
            holds=lambda gpu: _split_size(gpu) in {0, 1 if gpu.count is None else gpu.count},
            expected="one range in layerSplit per GPU",
            found="%d for a count of %d",
            found_cel=("size(self.sharding.layerSplit)", "has(self.count) ? self.count : 1"),
            values=lambda gpu: (_split_size(gpu), 1 if gpu.count is None else gpu.count),
            fix="change count, or give each GPU its range of layers",
        ),
    )


def _split_size(gpu: GPU) -> int:
    return len(gpu.sharding.layer_split or ()) if gpu.sharding else 0


class Hardware(Record):
    """What the model runs on."""

    accelerator: Accelerator = "cpu"
    """The backend of the engine: cpu, cuda, rocm, metal, vulkan or intel. It chooses the default image."""
    gpu: GPU | None = None
    """The GPUs that one pod needs."""

    @property
    def gpu_count(self) -> int:
        """GPUs per pod; 0 when none are asked for or they are switched off."""
        if self.gpu is None or self.gpu.enabled is False:
            return 0
        return (1 if self.gpu.enabled else 0) if self.gpu.count is None else self.gpu.count

    @property
    def gpu_vendor(self) -> Vendor:
        """Whose GPUs: as the spec says, else the accelerator's own vendor."""
        return (self.gpu and self.gpu.vendor) or _VENDORS.get(self.accelerator, "nvidia")
