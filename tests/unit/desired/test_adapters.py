"""LoRA adapters: Models of the service's own, loaded beside the model, and refused where the engine would not start."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from tests.layouts import planned
from tests.real_engine import MISSING, program

from llmkube.api.model import GGUFFacts, ModelMemory, ModelSpec
from llmkube.desired.adapters import adapter_model, adapter_name, adapter_trouble, adapters_part
from llmkube.desired.deployment import deployment
from llmkube.desired.engine.build import Build
from llmkube.desired.inputs import Adapter, Inputs, Served
from llmkube.desired.model_volume import used
from llmkube.desired.settings import OperatorSettings
from llmkube.gguf.plan.buffers import MemoryPlan

Factory = Callable[..., Any]
SOURCE = "https://models.example/pirate.gguf"
LORA = GGUFFacts(architecture="llama", type="adapter", adapter_type="lora")
MI = 2**20


@pytest.fixture
def served(resource: Factory, model_spec: Factory, model_status: Factory) -> Factory:
    def make(name: str = "tiny", *, status: dict[str, Any] | None = None, **spec: Any) -> Served:
        return Served(resource(name=name, uid=f"u-{name}"), model_spec(**spec), model_status(**status or {}))

    return make


@pytest.fixture
def adapter(served: Factory) -> Factory:
    """An adapter whose bytes are there, in the claim of the model."""

    def make(name: str = "pirate", scale: float = 0.0, *, file: str = "a.gguf", **status: Any) -> Adapter:
        child = adapter_name("chat", name)
        memory = ModelMemory(weights=3 * MI, kv_cache_per_token=0, compute_estimate=0)
        path = f"v1/models/team/{child}/cdcdcdcdcdcd/{file}"
        said = {"gguf": LORA, "memory": memory, "path": path, "sha256": "cd" * 32, **status}
        cache = {"mode": "Existing", "claimName": "tiny-cache"}
        return Adapter(name, served(child, status=said, source=SOURCE, cache=cache), scale)

    return make


@pytest.fixture
def made(resource: Factory, isvc_spec: Factory) -> Factory:
    """The Model that is made for an adapter of a service."""

    def make(model: ModelSpec, **fields: Any) -> dict[str, Any]:
        spec = isvc_spec(loraAdapters=[{"name": "pirate", "source": SOURCE, **fields}])
        isvc = resource("InferenceService", "chat", uid="u-chat")
        return adapter_model(isvc, spec.lora_adapters[0], "tiny", model)

    return make


@pytest.fixture
def template(resource: Factory, isvc_spec: Factory, settings: OperatorSettings) -> Factory:
    def make(inputs: Inputs, **isvc: Any) -> dict[str, Any]:
        spec = isvc_spec(**isvc)
        found = deployment(resource("InferenceService", "chat"), spec, inputs, settings, planned(spec, inputs))
        pods: dict[str, Any] = found["spec"]["template"]
        return pods

    return make


def words(template: dict[str, Any]) -> list[str]:
    found: list[str] = template["spec"]["containers"][0]["args"]
    return found


def test_an_adapter_is_a_model_of_the_services_own(made: Factory, model_spec: Factory) -> None:
    model = made(model_spec())
    metadata = model["metadata"]
    assert metadata["name"] == adapter_name("chat", "pirate")
    assert metadata["labels"]["inference.llmkube.dev/adapter"] == "pirate"
    assert [(each["uid"], each["controller"]) for each in metadata["ownerReferences"]] == [("u-chat", True)]
    assert model["spec"] == {"source": SOURCE, "cache": {"mode": "Existing", "claimName": "tiny-cache"}}
    assert ModelSpec.model_validate(model["spec"]).source == SOURCE


def test_what_its_source_needs_goes_into_its_model(made: Factory, model_spec: Factory) -> None:
    needed = {"sha256": "ef" * 32, "sourceSecretRef": {"name": "token"}}
    spec = made(model_spec(caBundleRef={"name": "corp"}), **needed)["spec"]
    assert {field: spec[field] for field in needed} == needed
    assert spec["caBundleRef"] == {"name": "corp", "key": "ca.crt"}


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ({"mode": "Shared"}, {"mode": "Existing", "claimName": "llmkube-models"}),
        ({"mode": "Existing", "claimName": "mine"}, {"mode": "Existing", "claimName": "mine"}),
        ({"mode": "Ephemeral"}, {"mode": "Ephemeral"}),
    ],
)
def test_its_bytes_go_where_the_models_are(
    cache: dict[str, Any], expected: dict[str, Any], made: Factory, model_spec: Factory
) -> None:
    assert made(model_spec(cache=cache))["spec"]["cache"] == expected


def test_no_two_adapters_have_one_name() -> None:
    pairs = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a" * 60, "b" * 60), ("a" * 60, "b" * 59 + "c")]
    names = [adapter_name(*each) for each in pairs]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 63


def test_adapters_are_loaded_in_their_order_with_their_scales(
    served: Factory, adapter: Factory, template: Factory
) -> None:
    said = words(template(Inputs(served(), adapters=(adapter(), adapter("haiku", 0.5)))))
    paths = [f"/models/v1/models/team/{adapter_name('chat', name)}/cdcdcdcdcdcd/a.gguf" for name in ("pirate", "haiku")]
    assert said[said.index("--lora-scaled") + 1] == f"{paths[0]}:0,{paths[1]}:0.5"
    assert "--lora-scaled" not in words(template(Inputs(served())))


@pytest.mark.parametrize(("scale", "told"), [(0.1234567, "0.123457"), (1e-50, "0"), (100.0, "100"), (1e-6, "1e-06")])
def test_a_scale_is_told_as_precisely_as_the_engine_can_read_it(
    scale: float, told: str, served: Factory, adapter: Factory, template: Factory
) -> None:
    said = words(template(Inputs(served(), adapters=(adapter(scale=scale),))))
    assert said[said.index("--lora-scaled") + 1].endswith(f":{told}")


def test_no_prompt_of_one_request_is_gone_on_from_with_the_scales_of_another(
    served: Factory, adapter: Factory, template: Factory
) -> None:
    said = words(template(Inputs(served(), adapters=(adapter(),)), extraArgs=["--cache-prompt"]))
    assert said.index("--no-cache-prompt") < said.index("--cache-prompt"), "who knows better has the last word"
    assert "--no-cache-prompt" not in words(template(Inputs(served())))


def test_an_image_of_unknown_build_is_told_by_a_variable_to_keep_no_prompt(served: Factory, adapter: Factory) -> None:
    part = adapters_part(Inputs(served(), adapters=(adapter(),)), Build(None))
    assert part.args[0] == "--lora-scaled"
    assert part.env == ({"name": "LLAMA_ARG_CACHE_PROMPT", "value": "0"},)


def test_adapters_are_in_the_claim_of_the_model_and_their_digests_in_the_annotations(
    served: Factory, adapter: Factory, template: Factory
) -> None:
    pods = template(Inputs(served(), adapters=(adapter(), adapter("haiku", sha256="ef" * 32))))
    assert [each["name"] for each in pods["spec"]["volumes"]] == ["models"]
    digests = [(volume, digest[:2]) for volume, digest in used(pods["metadata"]["annotations"])]
    assert digests == [("models", "ab"), ("models", "cd"), ("models", "ef")]


def test_the_memory_of_adapters_is_asked_for_where_they_are(
    served: Factory, adapter: Factory, isvc_spec: Factory
) -> None:
    def memory_of(inputs: Inputs) -> MemoryPlan:
        engine = planned(isvc_spec(), inputs)
        assert engine.memory is not None
        return engine.memory

    two = (adapter(), adapter("haiku"))
    on_gpu = served(hardware={"accelerator": "cuda", "gpu": {"count": 1}})
    assert memory_of(Inputs(served(), adapters=two)).host.total - memory_of(Inputs(served())).host.total == 6 * MI
    assert memory_of(Inputs(on_gpu, adapters=two)).host == memory_of(Inputs(on_gpu)).host
    (with_them,), (without,) = memory_of(Inputs(on_gpu, adapters=two)).devices, memory_of(Inputs(on_gpu)).devices
    assert with_them.total - without.total == 6 * MI


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        ({"gguf": GGUFFacts(architecture="llama", type="model")}, "NotAnAdapter", "found model in"),
        ({"gguf": GGUFFacts(architecture="llama")}, "NotAnAdapter", "found no general.type in"),
        (
            {"gguf": LORA.model_copy(update={"adapter_type": "control_vector"})},
            "NotAnAdapter",
            "found adapter, control_vector in",
        ),
        (
            {"gguf": LORA.model_copy(update={"architecture": "qwen2"})},
            "AdapterArchitectureDiffers",
            "expected an adapter for the architecture llama, found one for qwen2",
        ),
        ({"file": "a,b.gguf"}, "AdapterNameUnusable", "found a,b.gguf"),
        ({"file": "a:1.gguf"}, "AdapterNameUnusable", "found a:1.gguf"),
    ],
)
def test_an_adapter_that_the_engine_would_not_start_with_is_refused(
    status: dict[str, Any], reason: str, words: str, served: Factory, adapter: Factory
) -> None:
    told = adapter_trouble(served(), adapter(**status))
    assert told is not None
    assert (told.reason, words in told.message) == (reason, True), told.message
    assert told.message.startswith("spec.loraAdapters[pirate]: ")


@pytest.mark.parametrize("status", [{}, {"gguf": None}])
def test_an_adapter_that_fits_and_one_of_which_nothing_is_known_are_taken(
    status: dict[str, Any], served: Factory, adapter: Factory
) -> None:
    assert adapter_trouble(served(), adapter(**status)) is None


@pytest.mark.engine
def test_the_real_parser_takes_what_is_said_of_adapters(served: Factory, adapter: Factory, template: Factory) -> None:
    engine = program("llama-server")
    if not engine:
        pytest.skip(f"NO llama-server: {MISSING}; what its own parser thinks of our flags is NOT tested")
    said = words(template(Inputs(served(), adapters=(adapter(), adapter("haiku", 1e-5)))))
    done = subprocess.run([engine, *said, "--version"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
