"""Speculative decoding: the draft beside the model in one pod."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from tests.layouts import layout, llama, planned
from tests.real_engine import MISSING, program

from llmkube.api.model import ModelMemory
from llmkube.desired.deployment import deployment
from llmkube.desired.drafts import draft_part
from llmkube.desired.engine.build import Build
from llmkube.desired.engine.plan import EnginePlan, engine_plan
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.model_volume import FURTHER_DIGESTS, used
from llmkube.desired.settings import OperatorSettings
from llmkube.gguf.plan.buffers import Buffers
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions

Factory = Callable[..., Any]
SMALL, MI = "cd" * 32, 2**20
SMALL_FACTS = llama(layers=4, width=256)
SMALL_LAYOUT = layout(SMALL_FACTS)
DRAFTED = {"speculative": {"draftModelRef": "small"}}
GPU = {"hardware": {"accelerator": "cuda", "gpu": {"count": 1}}}


@pytest.fixture
def small(model: Factory) -> Factory:
    def make(**spec: Any) -> Served:
        memory = ModelMemory(weights=100 * MI, kv_cache_per_token=1024, compute_estimate=MI, layout=SMALL_LAYOUT)
        found: Served = model("small", status={"sha256": SMALL, "memory": memory}, **spec)
        return found

    return make


@pytest.fixture
def rendered(resource: Factory, isvc_spec: Factory, settings: OperatorSettings) -> Factory:
    def make(inputs: Inputs, **isvc: Any) -> dict[str, Any]:
        spec = isvc_spec(**DRAFTED | isvc)
        made = deployment(resource("InferenceService", "chat"), spec, inputs, settings, planned(spec, inputs))
        template: dict[str, Any] = made["spec"]["template"]
        return template

    return make


def words(template: dict[str, Any]) -> list[str]:
    found: list[str] = template["spec"]["containers"][0]["args"]
    return found


def after(template: dict[str, Any], flag: str) -> str:
    return words(template)[words(template).index(flag) + 1]


def test_a_draft_is_mounted_and_told_to_the_engine(model: Factory, small: Factory, rendered: Factory) -> None:
    template = rendered(Inputs(model(), small()))
    claims = {each["name"]: each["persistentVolumeClaim"]["claimName"] for each in template["spec"]["volumes"]}
    assert claims == {"models": "tiny-cache", "models-1": "small-cache"}
    mounts = template["spec"]["containers"][0]["volumeMounts"]
    assert mounts == [
        {"name": "models", "mountPath": "/models", "readOnly": True},
        {"name": "models-1", "mountPath": "/models-1", "readOnly": True},
    ]
    assert after(template, "--spec-draft-model") == "/models-1/v1/models/team/small/abababababab/m.gguf"
    assert after(template, "--spec-type") == "draft-simple", "without it the engine loads the draft and never asks it"


def test_a_claim_that_both_are_in_is_mounted_once(model: Factory, small: Factory, rendered: Factory) -> None:
    shared = {"cache": {"mode": "Shared"}}
    template = rendered(Inputs(model(**shared), small(**shared)))
    assert [each["name"] for each in template["spec"]["volumes"]] == ["models"]
    assert after(template, "--spec-draft-model").startswith("/models/v1/models/team/small/")


def test_drafts_that_each_pod_fetches_have_init_containers_of_their_own(
    model: Factory, small: Factory, rendered: Factory
) -> None:
    own = {"cache": {"mode": "Ephemeral"}}
    spec = rendered(Inputs(model(**own), small(**own, caBundleRef={"name": "corp"})))["spec"]
    assert [each["name"] for each in spec["initContainers"]] == ["fetch", "fetch-1"]
    names = [each["name"] for each in spec["volumes"]]
    assert names == ["models", "ca-bundle-1"]
    mounted = {mount["name"] for each in spec["initContainers"] for mount in each["volumeMounts"]}
    assert mounted == set(names)
    assert spec["volumes"][0]["emptyDir"]["sizeLimit"] == "4096Mi", "room for both"


def test_a_draft_that_each_pod_fetches_is_beside_a_claim(model: Factory, small: Factory, rendered: Factory) -> None:
    spec = rendered(Inputs(model(), small(cache={"mode": "Ephemeral"})))["spec"]
    (fetch,) = spec["initContainers"]
    assert (fetch["name"], fetch["volumeMounts"][0]) == ("fetch-1", {"name": "models-1", "mountPath": "/models"})
    assert [next(iter(each.keys() - {"name"})) for each in spec["volumes"]] == ["persistentVolumeClaim", "emptyDir"]


def test_the_digests_of_all_bytes_that_a_pod_reads_are_in_its_annotations(
    model: Factory, small: Factory, rendered: Factory
) -> None:
    annotations = rendered(Inputs(model(), small()))["metadata"]["annotations"]
    assert annotations[FURTHER_DIGESTS] == f"models-1={SMALL}"
    assert list(used(annotations)) == [("models", "ab" * 32), ("models-1", SMALL)]
    assert list(used({})) == []


def test_the_numbers_of_tokens_are_told_where_they_are_said(model: Factory, small: Factory, rendered: Factory) -> None:
    inputs = Inputs(model(), small())
    assert "--spec-draft-n-max" not in words(rendered(inputs))
    template = rendered(inputs, speculative={"draftModelRef": "small", "maxTokens": 8, "minTokens": 2})
    assert (after(template, "--spec-draft-n-max"), after(template, "--spec-draft-n-min")) == ("8", "2")


@pytest.mark.parametrize(
    ("large", "hardware", "layers"),
    [
        ({}, {}, "0"),
        (GPU, {}, "auto"),
        (GPU, {"hardware": {"gpu": {"count": 1, "layers": 5}}}, "5"),
        (GPU, {"hardware": {"gpu": {"enabled": False}}}, "0"),
        ({}, GPU, "0"),
    ],
)
def test_a_draft_goes_where_the_model_is_unless_it_says_otherwise(
    large: Any, hardware: Any, layers: str, model: Factory, small: Factory, rendered: Factory
) -> None:
    assert after(rendered(Inputs(model(**large), small(**hardware))), "--spec-draft-ngl") == layers


def test_the_memory_of_a_draft_is_planned_with_as_much_context_as_the_model_has(
    model: Factory, small: Factory, isvc_spec: Factory
) -> None:
    def memory_of(inputs: Inputs) -> Buffers:
        engine = planned(isvc_spec(**DRAFTED), inputs)
        assert engine.memory is not None
        return engine.memory.sum

    alone, drafted = memory_of(Inputs(model())), memory_of(Inputs(model(), small()))
    own = plan(SMALL_FACTS, EngineOptions(context=4096))
    assert drafted.model - alone.model == own.host.model
    assert drafted.kv - alone.kv == own.host.kv
    on_gpu = memory_of(Inputs(model(**GPU), small()))
    assert on_gpu.model == drafted.model


def test_memory_is_asked_for_on_top_of_the_models(model: Factory, small: Factory, rendered: Factory) -> None:
    def asked(inputs: Inputs) -> int:
        return int(rendered(inputs)["spec"]["containers"][0]["resources"]["requests"]["memory"].removesuffix("Mi"))

    own = plan(SMALL_FACTS, EngineOptions(context=4096)).host.total / MI
    assert asked(Inputs(model(), small())) - asked(Inputs(model())) == pytest.approx(own, abs=1)


def test_a_draft_whose_layers_are_not_known_leaves_the_memory_to_the_person(model: Factory, isvc_spec: Factory) -> None:
    memory = ModelMemory(weights=100 * MI, kv_cache_per_token=1024, compute_estimate=MI)
    found = engine_plan(isvc_spec(**DRAFTED), Inputs(model(), model("small", status={"memory": memory})))
    assert isinstance(found, EnginePlan)
    assert found.memory is None


@pytest.mark.parametrize(
    ("number", "names"),
    [
        (11669, ["--spec-type", "--spec-draft-n-max", "--spec-draft-model", "--spec-draft-ngl"]),
        (8672, ["--model-draft", "--gpu-layers-draft"]),
        (None, ["--model-draft", "--gpu-layers-draft"]),
    ],
)
def test_a_draft_is_told_as_the_build_takes_it(
    number: int | None, names: list[str], model: Factory, small: Factory, isvc_spec: Factory
) -> None:
    spec = isvc_spec(speculative={"draftModelRef": "small", "maxTokens": 8})
    part = draft_part(spec, Inputs(model(**GPU), small()), Build(number))
    assert list(part.args[::2]) == names
    assert part.args[-1] == ("auto" if number == 11669 else "999")
    told = {each["name"]: each["value"] for each in part.env}
    wanted = {"LLAMA_ARG_SPEC_TYPE": "draft-simple", "LLAMA_ARG_SPEC_DRAFT_N_MAX": "8"}
    assert told == (wanted if number is None else {})


@pytest.mark.engine
def test_the_real_parser_takes_what_is_said_of_a_draft(model: Factory, small: Factory, rendered: Factory) -> None:
    engine = program("llama-server")
    if not engine:
        pytest.skip(f"NO llama-server: {MISSING}; what its own parser thinks of our flags is NOT tested")
    template = rendered(
        Inputs(model(), small()), speculative={"draftModelRef": "small", "maxTokens": 8, "minTokens": 2}
    )
    done = subprocess.run(
        [engine, *words(template), "--version"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
