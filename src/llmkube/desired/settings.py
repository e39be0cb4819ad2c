"""What the operator was told at its start that decides what it renders: images, DNS, which sources are allowed.

Plain values; flags and environment variables become them in cli/operator.py.
"""

# ruff: noqa: TC001, TC003 - pydantic reads annotations at run time
from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from llmkube import __version__
from llmkube.api.hardware import Accelerator
from llmkube.models.source import HUGGING_FACE

Scrape = Literal["annotations", "podmonitor", "none"]
ENGINE_BUILD = "b11669"
ENGINE_REPOSITORY = "ghcr.io/ggml-org/llama.cpp"
ENGINE_VARIANTS: Mapping[Accelerator, str] = {
    "cpu": "server",
    "cuda": "server-cuda",
    "rocm": "server-rocm",
    "vulkan": "server-vulkan",
    "intel": "server-intel",
    "metal": "server",  # no container reaches Metal: on a Mac the process node runs the host's own engine
}
FETCHER_IMAGE = f"ghcr.io/defilantech/llmkube:{__version__}"


def engine_images(repository: str = ENGINE_REPOSITORY, build: str = ENGINE_BUILD) -> dict[str, str]:
    """The engine's image for each accelerator, pinned to one build."""
    return {accelerator: f"{repository}:{variant}-{build}" for accelerator, variant in ENGINE_VARIANTS.items()}


class OperatorSettings(BaseModel):
    """What does not change while the operator runs.

    `source_allow` holds host names and CIDRs that sources may name besides public ones; `source_roots` the directories
    that file:// sources may be in; `hugging_face` is the endpoint that hf:// sources are read from, e.g. a mirror.
    `image_map` has a key for each accelerator, and `cuda/arm64` for what nodes of one architecture run instead;
    `engine_build` is the build of images whose tag does not tell theirs.
    `architectures` are those that the engines of `image_map` know besides the pinned build's. A source with refresh
    OnChange is looked at every `refresh_seconds`, a Secret or ConfigMap that a service names every `reference_seconds`.
    An empty `namespaces` means all; an empty `cluster_domain` means that there is no cluster DNS, so endpoints are told
    by clusterIP. `scrape` is how Prometheus is told of the engines, and `scrape_from` the namespaces that a
    NetworkPolicy lets in besides, for it. With `user_namespaces` root in a pod is nobody on the node.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fetcher_image: str = FETCHER_IMAGE
    image_map: Mapping[str, str] = engine_images()
    image_pull_secrets: tuple[str, ...] = ()
    engine_build: int | None = None
    cluster_domain: str = "cluster.local"
    source_allow: tuple[str, ...] = ()
    source_roots: tuple[str, ...] = ()
    hugging_face: str = HUGGING_FACE
    architectures: tuple[str, ...] = ()
    refresh_seconds: float = 600.0
    reference_seconds: float = 60.0
    namespaces: tuple[str, ...] = ()
    scrape: Scrape = "annotations"
    scrape_from: tuple[str, ...] = ()
    user_namespaces: bool = False

    @field_validator("image_map")
    @classmethod
    def _is_complete(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        """An override of some accelerators leaves the others as they are."""
        return {**engine_images(), **value}

    def image(self, accelerator: Accelerator, arch: str | None = None) -> str:
        """The engine's image for an accelerator, on nodes of one architecture where those have their own."""
        return self.image_map.get(f"{accelerator}/{arch}") or self.image_map[accelerator]

    def has_image(self, accelerator: Accelerator, arch: str) -> bool:
        """Whether nodes of this architecture have an image of their own."""
        return f"{accelerator}/{arch}" in self.image_map
