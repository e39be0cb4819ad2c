"""Which image runs, on which nodes, how it is pulled; and one that cannot run the Model is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest

from llmkube.api.hardware import Accelerator
from llmkube.desired.images import ARCH, engine_image, image_trouble, pull_policy, variant
from llmkube.desired.settings import OperatorSettings, engine_images

Factory = Callable[..., Any]
ARM64, AMD64 = {"nodeSelector": {ARCH: "arm64"}}, {"nodeSelector": {ARCH: "amd64"}}
JETSON = OperatorSettings(image_map={"cuda/arm64": "registry.example/jetson:1", "rocm/arm64": "registry.example/r:1"})


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("llama.cpp", "Always"),
        ("ghcr.io/ggml-org/llama.cpp:latest", "Always"),
        ("localhost:5000/llama.cpp", "Always"),
        ("localhost:5000/llama.cpp:server-b11669", "IfNotPresent"),
        ("ghcr.io/ggml-org/llama.cpp:latest@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_a_moving_tag_is_pulled_for_every_pod_and_a_pinned_image_once(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


@pytest.mark.parametrize(
    ("image", "built_for"),
    [
        ("ghcr.io/ggml-org/llama.cpp:server-b11669", "cpu"),
        ("mirror:5000/x/llama.cpp:server-cuda13-b11669@sha256:" + "0" * 64, "cuda"),
        ("llama.cpp:server-rocm", "rocm"),
        ("mirror/llama.cpp:server-vulkan-b1", "vulkan"),
        ("mirror/llama.cpp:server-intel-b1", "intel"),
        ("mirror/llama.cpp:server-musa-b1", None),
        ("mirror/llama.cpp:full-cuda", None),
        ("mine/engine:server-cuda", None),
        ("llama.cpp@sha256:" + "0" * 64, None),
    ],
)
def test_a_tag_of_llama_cpps_own_says_what_the_image_is_built_for(image: str, built_for: str | None) -> None:
    assert variant(image) == built_for


@pytest.mark.parametrize("accelerator", get_args(Accelerator))
def test_every_accelerator_has_an_image_of_its_own_kind_that_is_pinned(
    accelerator: Accelerator, isvc_spec: Factory, model_spec: Factory
) -> None:
    model = model_spec(hardware={"accelerator": accelerator})
    image = engine_image(isvc_spec(), model, OperatorSettings())
    assert image.build.number == 11669
    assert image_trouble(image, isvc_spec(), model) is None
    mirrored = OperatorSettings(image_map=engine_images("mirror.example/llama.cpp"))
    assert engine_image(isvc_spec(), model, mirrored).reference.startswith("mirror.example/llama.cpp:server")


@pytest.mark.parametrize(
    ("isvc", "accelerator", "reference", "architecture"),
    [
        ({}, "cuda", "ghcr.io/ggml-org/llama.cpp:server-cuda-b11669", None),
        (AMD64, "cuda", "ghcr.io/ggml-org/llama.cpp:server-cuda-b11669", None),
        (ARM64, "cuda", "registry.example/jetson:1", "arm64"),
        (ARM64, "cpu", "ghcr.io/ggml-org/llama.cpp:server-b11669", None),
        ({}, "rocm", "ghcr.io/ggml-org/llama.cpp:server-rocm-b11669", "amd64"),
        (ARM64, "rocm", "registry.example/r:1", "arm64"),
        (ARM64 | {"image": "mine/engine:1"}, "cuda", "mine/engine:1", None),
    ],
)
def test_nodes_of_one_architecture_can_have_an_image_of_their_own_and_an_image_only_runs_where_it_can(
    isvc: dict[str, Any],
    accelerator: str,
    reference: str,
    architecture: str | None,
    isvc_spec: Factory,
    model_spec: Factory,
) -> None:
    found = engine_image(isvc_spec(**isvc), model_spec(hardware={"accelerator": accelerator}), JETSON)
    assert (found.reference, found.architecture) == (reference, architecture)


def test_pods_are_kept_on_the_architecture_of_their_image(rendered_deployment: Factory) -> None:
    rocm = {"hardware": {"accelerator": "rocm", "gpu": {"count": 1}}}
    pod = rendered_deployment({"nodeSelector": {"disk": "fast"}}, rocm)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"disk": "fast", ARCH: "amd64"}
    assert "nodeSelector" not in rendered_deployment()["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("isvc", "accelerator", "words"),
    [
        ({"image": "m/llama.cpp:server-b11669"}, "cuda", ("spec.image: ", "accelerator cuda", "built for cpu")),
        ({"image": "m/llama.cpp:server-cuda-b1"}, "cpu", ("spec.image: ", "accelerator cpu", "built for cuda")),
        ({"image": "m/llama.cpp:server-vulkan"}, "rocm", ("spec.image: ", "built for vulkan")),
        (ARM64, "intel", (f"spec.nodeSelector[{ARCH}]: expected amd64, found arm64", "--image intel/arm64=")),
    ],
)
def test_an_image_and_an_accelerator_that_disagree_are_refused_with_the_path(
    isvc: dict[str, Any], accelerator: str, words: tuple[str, ...], isvc_spec: Factory, model_spec: Factory
) -> None:
    spec, model = isvc_spec(**isvc), model_spec(hardware={"accelerator": accelerator})
    found = image_trouble(engine_image(spec, model, OperatorSettings()), spec, model)
    assert found is not None
    assert found.reason == "ImageMismatch"
    assert all(word in found.message for word in words), found.message


def test_an_image_map_that_disagrees_is_told_as_the_operators(isvc_spec: Factory, model_spec: Factory) -> None:
    wrong = OperatorSettings(image_map={"cuda": "m/llama.cpp:server-b11669"})
    model = model_spec(hardware={"accelerator": "cuda"})
    found = image_trouble(engine_image(isvc_spec(), model, wrong), isvc_spec(), model)
    assert found is not None
    assert found.message.startswith("the operator's --image for cuda: ")


def test_images_are_pulled_with_the_secrets_of_the_service_and_of_the_operator(
    rendered_deployment: Factory, settings: OperatorSettings
) -> None:
    theirs = settings.model_copy(update={"image_pull_secrets": ("site", "team")})
    pod = rendered_deployment({"imagePullSecrets": [{"name": "team"}]}, settings=theirs)["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "team"}, {"name": "site"}]
    assert "imagePullSecrets" not in rendered_deployment()["spec"]["template"]["spec"]
