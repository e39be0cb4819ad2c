"""The engine's images: what a tag says of one, which nodes it is for, whether it suits the Model, how it is pulled.

    engine_image(spec: InferenceServiceSpec, model: ModelSpec, settings: OperatorSettings) -> EngineImage
    image_part(image: EngineImage, spec: InferenceServiceSpec, settings: OperatorSettings) -> PodPart
    image_trouble(image: EngineImage, spec: InferenceServiceSpec, model: ModelSpec) -> Trouble | None
    variant(image: str) -> Accelerator | None
    pull_policy(image: str) -> str

The pull policy is always rendered: the API server's default is set once and stays when the image of a live Deployment
changes, so that a pinned image would go on being pulled because `:latest` was there before it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from llmkube.desired.engine.build import build_of
from llmkube.desired.pod_part import PodPart
from llmkube.desired.pod_trouble import Trouble

if TYPE_CHECKING:
    from llmkube.api.hardware import Accelerator
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import ModelSpec
    from llmkube.desired.engine.build import Build
    from llmkube.desired.settings import OperatorSettings

ARCH = "kubernetes.io/arch"
ONE_ARCHITECTURE = frozenset({"rocm", "intel"})
"""Variants that llama.cpp publishes for amd64 alone (docs/docker.md); the others are for arm64 too."""
_OFFICIAL = re.compile(r"(?:.*/)?llama\.cpp:server(?:-(cuda|rocm|vulkan|intel)\d*)?(?:-b\d+)?(?:@.*)?")


class EngineImage(NamedTuple):
    """A reference, who named it (for people), the one architecture that it is for, if any, and its build."""

    reference: str
    named_by: str
    architecture: str | None
    build: Build


def engine_image(spec: InferenceServiceSpec, model: ModelSpec, settings: OperatorSettings) -> EngineImage:
    """Return the service's own image, or the operator's for the accelerator, on the architecture that is selected."""
    accelerator, arch = model.hardware.accelerator, (spec.node_selector or {}).get(ARCH)
    reference = spec.image or settings.image(accelerator, arch)
    only = arch if arch and not spec.image and settings.has_image(accelerator, arch) else None
    if only is None and variant(reference) in ONE_ARCHITECTURE:
        only = "amd64"
    named_by = "spec.image" if spec.image else f"the operator's --image for {accelerator}"
    return EngineImage(reference, named_by, only, build_of(reference, told=settings.engine_build))


def image_part(image: EngineImage, spec: InferenceServiceSpec, settings: OperatorSettings) -> PodPart:
    """Return image, pull policy and pull secrets, the service's own before the operator's."""
    names = dict.fromkeys((*(each.name for each in spec.image_pull_secrets), *settings.image_pull_secrets))
    pod = {"imagePullSecrets": [{"name": name} for name in names]} if names else {}
    return PodPart(
        container={"image": image.reference, "imagePullPolicy": pull_policy(image.reference)},
        pod=pod,
    )


def image_trouble(image: EngineImage, spec: InferenceServiceSpec, model: ModelSpec) -> Trouble | None:
    """Return why the image cannot run the Model where it is to run: a silent run on the CPU is worse than none."""
    accelerator, built_for = model.hardware.accelerator, variant(image.reference)
    wanted = "cpu" if accelerator == "metal" else accelerator
    if built_for is not None and built_for != wanted:
        said = f"{image.named_by}: expected an image for the Model's accelerator {accelerator}"
        fix = "leave spec.image out, or change hardware.accelerator of the Model"
        return Trouble("ImageMismatch", f"{said}, found {image.reference}, which is built for {built_for}; {fix}")
    selected = (spec.node_selector or {}).get(ARCH)
    if selected and image.architecture and selected != image.architecture:
        said = f"spec.nodeSelector[{ARCH}]: expected {image.architecture}, found {selected}"
        fix = (
            f"name an image for {selected} in spec.image, or start the operator with --image {accelerator}/{selected}="
        )
        return Trouble("ImageMismatch", f"{said}; {image.reference} is for no other architecture; {fix}")
    return None


def variant(image: str) -> Accelerator | None:
    """Return the accelerator that an image with one of llama.cpp's own tags is built for; None: nobody knows."""
    found = _OFFICIAL.fullmatch(image)
    if found is None:
        return None
    known: tuple[Accelerator, ...] = ("cuda", "rocm", "vulkan", "intel")
    return next((each for each in known if each == found[1]), "cpu")


def pull_policy(image: str) -> str:
    """Return what kube-apiserver would default to for a new object: a moving tag is pulled for every pod."""
    if "@" in image:
        return "IfNotPresent"
    _, separator, tag = image.rpartition("/")[2].partition(":")
    return "IfNotPresent" if separator and tag != "latest" else "Always"
