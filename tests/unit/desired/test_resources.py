"""What a pod asks of its node: never less than the plan, GPUs by their vendor's name, threads that fit the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmkube.api import quantity
from llmkube.api.model import ModelMemory
from llmkube.desired.resources import CACHE_RAM_MIB, MI, Needs, gpu_resource, gpus, needs

Factory = Callable[..., Any]
MEMORY = ModelMemory(weights=1024 * MI, kv_cache_per_token=MI, compute_estimate=64 * MI)
CUDA = {"accelerator": "cuda", "gpu": {"count": 2}}


@pytest.fixture
def wanted(isvc_spec: Factory, model_spec: Factory) -> Callable[..., Needs]:
    def make(
        isvc: dict[str, Any] | None = None,
        model: dict[str, Any] | None = None,
        *,
        memory: ModelMemory | None = MEMORY,
        context: int = 256,
    ) -> Needs:
        return needs(isvc_spec(**isvc or {}), model_spec(**model or {}), memory, context=context)

    return make


def test_the_plan_is_weights_and_context_and_compute_and_what_the_process_takes(wanted: Callable[..., Needs]) -> None:
    assert wanted().planned == (1024 + 256 + 64 + CACHE_RAM_MIB + 256) * MI


def test_more_context_needs_more_and_smaller_types_need_less(wanted: Callable[..., Needs]) -> None:
    plain, longer = wanted().planned or 0, wanted(context=512).planned or 0
    smaller = wanted({"cacheTypeK": "q8_0", "cacheTypeV": "q8_0"}).planned or 0
    assert longer - plain == 256 * MI
    assert plain - smaller == 256 * MI * 30 // 64


def test_without_a_plan_the_person_decides(wanted: Callable[..., Needs]) -> None:
    said = wanted({"resources": {"memory": "3Gi"}}, memory=None)
    assert (said.planned, said.raised) == (None, False)
    assert said.manifest()["requests"]["memory"] == "3072Mi"
    assert "limits" not in wanted(memory=None).manifest()


def test_less_memory_than_the_plan_is_raised_and_said(wanted: Callable[..., Needs]) -> None:
    said = wanted({"resources": {"memory": "100Mi"}})
    assert said.raised
    assert said.manifest()["requests"] == wanted().manifest()["requests"]


def test_more_memory_than_the_plan_is_kept(wanted: Callable[..., Needs]) -> None:
    said = wanted({"resources": {"memory": "64Gi"}})
    assert not said.raised
    assert said.manifest()["requests"]["memory"] == said.manifest()["limits"]["memory"] == "65536Mi"


def test_a_limit_leaves_room_above_the_plan(wanted: Callable[..., Needs]) -> None:
    manifest = wanted().manifest()
    request, limit = (quantity.to_int(manifest[kind]["memory"]) for kind in ("requests", "limits"))
    assert limit > request >= (wanted().planned or 0)
    assert "cpu" not in manifest["limits"]


def test_the_service_counts_before_the_model(wanted: Callable[..., Needs]) -> None:
    model = {"resources": {"cpu": "4", "memory": "8Gi"}}
    assert wanted({}, model).manifest()["requests"] == {"cpu": "4", "memory": "8192Mi"}
    assert wanted({"resources": {"cpu": "2"}}, model).manifest()["requests"] == {"cpu": "2", "memory": "8192Mi"}


@pytest.mark.parametrize(
    ("isvc", "threads"),
    [
        ({}, 2),
        ({"resources": {"cpu": "500m"}}, 1),
        ({"resources": {"cpu": "2500m"}}, 3),
        ({"resources": {"cpu": "0"}}, 1),
        ({"threads": 7, "resources": {"cpu": "2"}}, 7),
    ],
)
def test_threads_fit_the_cpu(isvc: dict[str, Any], threads: int, wanted: Callable[..., Needs]) -> None:
    assert wanted(isvc).threads == threads


@pytest.mark.parametrize(
    ("hardware", "resource"),
    [
        (CUDA, "nvidia.com/gpu"),
        ({"accelerator": "rocm", "gpu": {"count": 2}}, "amd.com/gpu"),
        ({"accelerator": "intel", "gpu": {"count": 2}}, "gpu.intel.com/i915"),
        ({"accelerator": "vulkan", "gpu": {"count": 2, "vendor": "amd"}}, "amd.com/gpu"),
    ],
)
def test_gpus_are_asked_for_by_their_vendors_resource(
    hardware: dict[str, Any], resource: str, wanted: Callable[..., Needs], model_spec: Factory
) -> None:
    manifest = wanted({}, {"hardware": hardware}).manifest()
    assert manifest["requests"][resource] == manifest["limits"][resource] == "2"
    assert gpu_resource(model_spec(hardware=hardware)) == resource


@pytest.mark.parametrize(
    ("isvc", "hardware", "count"),
    [
        ({}, CUDA, 2),
        ({"resources": {"gpu": 1}}, CUDA, 1),
        ({"resources": {"gpu": 0}}, CUDA, 0),
        ({"resources": {"cpu": "1"}}, CUDA, 2),
        ({"resources": {"gpu": 1}}, {}, 0),
        ({}, {"accelerator": "metal", "gpu": {"count": 1}}, 0),
        ({}, {"accelerator": "cuda", "gpu": {"enabled": True}}, 1),
    ],
)
def test_the_number_of_gpus(
    isvc: dict[str, Any], hardware: dict[str, Any], count: int, isvc_spec: Factory, model_spec: Factory
) -> None:
    assert gpus(isvc_spec(**isvc), model_spec(hardware=hardware)) == count


def test_weights_on_gpus_are_not_asked_of_the_host(wanted: Callable[..., Needs]) -> None:
    everything = wanted({}, {"hardware": CUDA}).planned or 0
    some = wanted({}, {"hardware": {"accelerator": "cuda", "gpu": {"count": 1, "layers": 3}}}).planned or 0
    assert some - everything == (1024 + 256) * MI
