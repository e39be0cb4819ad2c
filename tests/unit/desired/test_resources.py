"""What a pod asks of its node: never less than the plan, GPUs by their vendor's name, threads that fit the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmkube.api import quantity
from llmkube.desired.engine.plan import EnginePlan, engine_plan
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.resources import CACHE_RAM_MIB, MI, Needs, gpu_resource, gpu_trouble, gpus, memory_of_each, needs
from llmkube.gguf.packed import unpacked
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions

Factory = Callable[..., Any]
CUDA = {"accelerator": "cuda", "gpu": {"count": 2}}


@pytest.fixture
def wanted(isvc_spec: Factory, model_spec: Factory, model_status: Factory, resource: Factory) -> Callable[..., Needs]:
    def make(isvc: dict[str, Any] | None = None, model: dict[str, Any] | None = None, **status: Any) -> Needs:
        spec, model_read = isvc_spec(**isvc or {}), model_spec(**model or {})
        engine = engine_plan(spec, Inputs(Served(resource(), model_read, model_status(**status))))
        assert isinstance(engine, EnginePlan)
        return needs(spec, model_read, engine)

    return make


def test_the_host_has_what_the_plan_leaves_there_and_what_the_process_takes(
    wanted: Callable[..., Needs], model_status: Factory
) -> None:
    facts = unpacked(model_status().memory.layout)
    assert facts is not None
    host = plan(facts, EngineOptions(context=4096)).host.total
    assert wanted().planned == host + (CACHE_RAM_MIB + 256) * MI


def test_more_context_needs_more_and_smaller_types_need_less(wanted: Callable[..., Needs]) -> None:
    shorter = wanted({"contextSize": 2048}).planned or 0
    smaller = wanted({"cacheTypeK": "q8_0", "cacheTypeV": "q8_0"}).planned or 0
    assert shorter < smaller < (wanted().planned or 0)


def test_embeddings_keep_no_prompts(wanted: Callable[..., Needs]) -> None:
    chat = wanted({"ubatchSize": 512, "batchSize": 512}).planned or 0
    embedding = wanted({"mode": "embedding", "ubatchSize": 512, "batchSize": 512}).planned or 0
    assert chat - embedding > (CACHE_RAM_MIB - 8) * MI


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
        ({"resources": {"cpu": "16Gi"}}, 1024),
        ({"threads": 7, "resources": {"cpu": "2"}}, 7),
    ],
)
def test_threads_fit_the_cpu(isvc: dict[str, Any], threads: int, wanted: Callable[..., Needs]) -> None:
    assert wanted(isvc).threads == threads


@pytest.mark.parametrize(
    ("hardware", "extended"),
    [
        (CUDA, "nvidia.com/gpu"),
        ({"accelerator": "rocm", "gpu": {"count": 2}}, "amd.com/gpu"),
        ({"accelerator": "intel", "gpu": {"count": 2}}, "gpu.intel.com/i915"),
        ({"accelerator": "vulkan", "gpu": {"count": 2, "vendor": "amd"}}, "amd.com/gpu"),
    ],
)
def test_gpus_are_asked_for_by_their_vendors_resource(
    hardware: dict[str, Any], extended: str, wanted: Callable[..., Needs], model_spec: Factory
) -> None:
    manifest = wanted({}, {"hardware": hardware}).manifest()
    assert manifest["requests"][extended] == manifest["limits"][extended] == "2"
    assert gpu_resource(model_spec(hardware=hardware)) == extended


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
    assert some - everything > 27 * 24 * MI  # of 30 layers of 24 MiB, the output layer being one of the 3


@pytest.mark.parametrize(
    ("isvc", "gpu", "size"),
    [
        ({}, {"count": 2}, None),
        ({}, {"count": 2, "memory": "8Gi"}, 8 << 30),
        ({"resources": {"gpuMemory": "8Gi"}}, {"count": 2}, 4 << 30),
        ({"resources": {"gpuMemory": "8Gi", "gpu": 1}}, {"count": 2, "memory": "24Gi"}, 8 << 30),
    ],
)
def test_the_memory_of_a_gpu_is_the_models_word_or_its_share_of_the_services(
    isvc: dict[str, Any], gpu: dict[str, Any], size: int | None, isvc_spec: Factory, model_spec: Factory
) -> None:
    assert memory_of_each(isvc_spec(**isvc), model_spec(hardware={"accelerator": "cuda", "gpu": gpu})) == size


@pytest.mark.parametrize(
    ("isvc", "gpu", "path"),
    [
        ({}, {"count": 1}, "Model spec.hardware.gpu: "),
        ({}, {"layers": 5}, "Model spec.hardware.gpu.layers: "),
        ({"resources": {"gpu": 1}}, {}, "spec.resources.gpu: "),
        ({}, {"enabled": False, "count": 1}, None),
        ({}, {"count": 1, "layers": 0}, None),
        ({"resources": {"gpu": 0}}, {}, None),
    ],
)
def test_gpus_without_an_accelerator_are_refused_with_the_path(
    isvc: dict[str, Any], gpu: dict[str, Any], path: str | None, isvc_spec: Factory, model_spec: Factory
) -> None:
    found = gpu_trouble(isvc_spec(**isvc), model_spec(hardware={"accelerator": "cpu", "gpu": gpu}))
    assert (found and found.message.startswith(path or "-")) == (True if path else None)
    assert gpu_trouble(isvc_spec(**isvc), model_spec(hardware={"accelerator": "cuda", "gpu": gpu})) is None
