"""llama-server's arguments: complete, accepted by the real parser, and never a way round the operator."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.certify.arguments import outcome, parse
from tests.layouts import layout, llama
from tests.random_specs import LAYOUTS, MODELS, SERVICES
from tests.real_engine import MISSING, program

from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import ModelSpec, Projector
from llmkube.desired.engine.build import LONG_STANDING, Build
from llmkube.desired.engine.extra import refused_extra_args
from llmkube.desired.pod_trouble import Trouble
from llmkube.local.engine.flags import VARIABLES, FlagError, from_environment
from llmkube.local.engine.flags import parse as launcher

Factory = Callable[..., Any]
CUDA = {"accelerator": "cuda", "gpu": {"enabled": True, "count": 2}}
SPECS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "every option": (
        {
            "contextSize": 2048,
            "parallel": 4,
            "flashAttention": "on",
            "cacheTypeK": "q8_0",
            "cacheTypeV": "iq4_nl",
            "batchSize": 1024,
            "ubatchSize": 256,
            "threads": 3,
            "jinja": False,
            "extraArgs": ["--temp", "0.2", "--no-warmup"],
        },
        {},
    ),
    "embedding": ({"mode": "embedding"}, {}),
    "rerank": ({"mode": "rerank", "flashAttention": "off"}, {}),
    "two GPUs": ({}, {"hardware": CUDA}),
    "some layers": ({}, {"hardware": {"accelerator": "rocm", "gpu": {"count": 1, "layers": 12}}}),
    "a Mac": ({}, {"hardware": {"accelerator": "metal"}}),
    "a projector": ({}, {"mmprojSource": "https://h/p.gguf"}),
    "API keys": ({"auth": {"secretRef": {"name": "keys"}}}, {}),
}


@pytest.fixture
def rendered(rendered_deployment: Factory) -> Factory:
    """The engine's container."""

    def make(isvc: dict[str, Any] | None = None, model: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        if (model or {}).get("mmprojSource"):
            projector = {"source": model["mmprojSource"], "path": "v1/models/team/tiny/p/p.gguf"} if model else {}
            more = {"status": {"mmproj": Projector.model_validate(projector)}, **more}
        container: dict[str, Any] = rendered_deployment(isvc, model, **more)["spec"]["template"]["spec"]["containers"][
            0
        ]
        return container

    return make


@pytest.fixture
def render(rendered: Factory) -> Factory:
    """The arguments."""
    return lambda *specs, **more: tuple(rendered(*specs, **more)["args"])


def value(words: tuple[str, ...], flag: str) -> str:
    assert words.count(flag) == 1, f"{flag} in {words}"
    return words[words.index(flag) + 1]


@pytest.fixture(scope="module")
def llama_server() -> str:
    found = program("llama-server")
    if not found:
        pytest.skip(f"NO llama-server: {MISSING}; what its own parser thinks of our flags is NOT tested")
    return found


@pytest.mark.engine
@pytest.mark.parametrize("case", SPECS)
def test_the_real_llama_server_takes_every_rendered_list(
    case: str, render: Factory, llama_server: str, tmp_path: Path
) -> None:
    assert parse(llama_server, render(*SPECS[case]), {}, tmp_path) == ""


@pytest.mark.engine
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(SERVICES, MODELS, LAYOUTS)
def test_the_real_llama_server_takes_what_any_spec_comes_to_or_the_spec_is_refused_by_its_path(
    llama_server: str, tmp_path: Path, spec: InferenceServiceSpec, model: ModelSpec, packed: str | None
) -> None:
    found = outcome(spec, model, packed)
    if not isinstance(found, Trouble):
        env = {each["name"]: each["value"] for each in found.get("env", ()) if "value" in each}
        assert parse(llama_server, found["args"], env, tmp_path) == ""


@pytest.mark.engine
def test_the_real_llama_server_refuses_a_flag_it_does_not_know(llama_server: str) -> None:
    run = subprocess.run([llama_server, "--no-such-flag", "--version"], capture_output=True, timeout=30, check=False)
    assert run.returncode != 0


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(SERVICES, MODELS, LAYOUTS)
def test_the_launcher_of_local_mode_takes_what_any_spec_comes_to_or_names_what_it_cannot(
    tmp_path: Path, spec: InferenceServiceSpec, model: ModelSpec, packed: str | None
) -> None:
    found = outcome(spec, model, packed)
    if isinstance(found, Trouble):
        return
    file = tmp_path / "file"
    file.write_text("secret\n")
    words = [str(file) if word.startswith("/etc/") else word for word in found["args"]]
    own = words[: len(words) - len(spec.extra_args)]
    variables = {each["name"]: each.get("value", "") for each in found.get("env", ())}
    assert {name for name in variables if name.startswith("LLAMA_ARG_")} <= VARIABLES.keys()
    assert ("port", 8080) in launcher([*from_environment(variables), *own])
    with suppress(FlagError):  # of the person's own flags each is taken, or named
        launcher(words)


@pytest.mark.parametrize("case", SPECS)
def test_what_the_engine_would_take_from_the_host_is_always_said(case: str, render: Factory) -> None:
    words = render(*SPECS[case])
    assert value(words, "--port") == "8080"
    assert value(words, "--host") == "0.0.0.0"
    assert value(words, "--alias") == "chat"
    assert int(value(words, "--cache-ram")) < 8192
    assert int(value(words, "--threads")) > 0
    assert {"--metrics", "--slots"} <= set(words)
    assert not {"--tools", "--agent", "--api-key"} & set(words)


@pytest.mark.parametrize(
    ("hardware", "layers"),
    [
        ({}, "0"),
        (CUDA, "auto"),
        ({"accelerator": "cuda"}, "0"),
        ({"accelerator": "cuda", "gpu": {"count": 1, "layers": -1}}, "auto"),
        ({"accelerator": "cuda", "gpu": {"count": 1, "layers": 0}}, "0"),
        ({"accelerator": "cuda", "gpu": {"count": 1, "layers": 7}}, "7"),
        ({"accelerator": "cuda", "gpu": {"count": 1, "memory": "16Gi"}}, "31"),
        ({"accelerator": "cuda", "gpu": {"enabled": False, "count": 1}}, "0"),
        ({"accelerator": "metal"}, "auto"),
        ({"accelerator": "metal", "gpu": {"enabled": False}}, "0"),
    ],
)
def test_layers_go_to_gpus_only_where_there_are_some(hardware: dict[str, Any], layers: str, render: Factory) -> None:
    assert value(render({}, {"hardware": hardware}), "--n-gpu-layers") == layers


def gpus(count: int = 2, strategy: str = "layer", **gpu: Any) -> dict[str, Any]:
    sharding = {"strategy": strategy} | ({"layerSplit": gpu.pop("layerSplit")} if "layerSplit" in gpu else {})
    return {"hardware": {"accelerator": "cuda", "gpu": {"count": count, "sharding": sharding, **gpu}}}


def test_layers_are_split_only_over_several_gpus(render: Factory) -> None:
    assert value(render({}, {"hardware": CUDA}), "--split-mode") == "layer"
    assert "--split-mode" not in render({"resources": {"gpu": 1}}, {"hardware": CUDA})


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (gpus(), ("--split-mode", "layer")),
        (gpus(strategy="pipeline"), ("--split-mode", "layer")),
        (gpus(memory="16Gi"), ("--split-mode", "layer", "--tensor-split", "16,15")),
        (gpus(layerSplit=["0-9", "10-29"]), ("--split-mode", "layer", "--tensor-split", "10,21")),
        (gpus(layerSplit=["0-9", "10-30"]), ("--split-mode", "layer", "--tensor-split", "10,21")),
        (gpus(strategy="row"), ("--split-mode", "row", "--main-gpu", "0")),
        (gpus(strategy="row", memory="16Gi"), ("--split-mode", "row", "--tensor-split", "1,1", "--main-gpu", "0")),
        (gpus(strategy="tensor", memory="16Gi"), ("--split-mode", "tensor", "--tensor-split", "1,1")),
        (gpus(strategy="none"), ("--split-mode", "none", "--main-gpu", "0")),
        (gpus(strategy="none", memory="16Gi"), ("--split-mode", "none", "--main-gpu", "0")),
    ],
)
def test_each_strategy_is_a_split_mode_with_the_split_that_is_known(
    model: dict[str, Any], words: tuple[str, ...], render: Factory
) -> None:
    found = render({}, model)
    start = found.index("--split-mode")
    assert found[start : start + len(words)] == words
    assert sum(flag in found for flag in ("--tensor-split", "--main-gpu")) == len(words) // 2 - 1


@pytest.mark.parametrize(("mode", "flag"), [("embedding", "--embeddings"), ("rerank", "--reranking")])
def test_a_mode_is_a_flag_and_keeps_no_prompts(mode: str, flag: str, render: Factory) -> None:
    words = render({"mode": mode})
    assert flag in words
    assert value(words, "--cache-ram") == "0"
    assert flag not in render()


@pytest.mark.parametrize(
    ("isvc", "batch", "ubatch"),
    [
        ({}, None, None),
        ({"batchSize": 1024}, "1024", None),
        ({"mode": "embedding"}, "4096", "4096"),
        ({"mode": "embedding", "parallel": 4}, "4096", "4096"),
        ({"mode": "rerank", "contextSize": 1024}, "1024", "1024"),
        ({"mode": "rerank", "contextSize": 256}, "512", "512"),
        ({"mode": "embedding", "batchSize": 1024}, "1024", "1024"),
        ({"mode": "embedding", "ubatchSize": 256}, "256", "256"),
        ({"mode": "embedding", "batchSize": 1024, "ubatchSize": 256}, "1024", "256"),
    ],
)
def test_a_text_that_is_embedded_or_ranked_fits_one_physical_batch(
    isvc: dict[str, Any], batch: str | None, ubatch: str | None, render: Factory
) -> None:
    words = render(isvc)
    found = [value(words, flag) if flag in words else None for flag in ("--batch-size", "--ubatch-size")]
    assert found == [batch, ubatch]


def test_a_model_that_pools_the_last_token_needs_no_large_batch(render: Factory, model_status: Factory) -> None:
    memory = model_status().memory.model_copy(update={"layout": layout(llama(pooling=3))})
    assert "--ubatch-size" not in render({"mode": "embedding"}, status={"memory": memory})
    assert "--ubatch-size" in render({"mode": "rerank"}, status={"memory": memory})


def test_thinking_is_told_as_the_person_says(render: Factory) -> None:
    words = render({"reasoning": {"format": "none", "budget": 0}})
    assert (value(words, "--reasoning-format"), value(words, "--reasoning-budget")) == ("none", "0")
    assert "--reasoning-budget" not in render({"reasoning": {}})
    assert "--reasoning-format" not in render()


def test_an_image_of_unknown_build_gets_old_flags_only_and_the_rest_as_variables(rendered: Factory) -> None:
    spec = {
        "image": "registry.example/mine:1",
        "flashAttention": "on",
        "jinja": False,
        "reasoning": {"budget": 0},
        "env": [{"name": "A", "value": "b"}],
    }
    container = rendered(spec, {"hardware": CUDA})
    flags = {word for word in container["args"] if word.startswith("--")}
    assert flags <= LONG_STANDING
    assert value(tuple(container["args"]), "--n-gpu-layers") == "999"
    assert {each["name"]: each["value"] for each in container["env"]} == {
        "LLAMA_ARG_CACHE_RAM": "512",
        "LLAMA_ARG_FLASH_ATTN": "on",
        "LLAMA_ARG_JINJA": "0",
        "LLAMA_ARG_LOG_VERBOSITY": "4",
        "LLAMA_ARG_THINK_BUDGET": "0",
        "A": "b",
    }
    assert "env" not in rendered()


def test_keys_are_named_by_file_and_extra_arguments_come_last(render: Factory) -> None:
    words = render({"auth": {"secretRef": {"name": "keys"}}, "extraArgs": ["--temp", "0.2"]})
    assert value(words, "--api-key-file") == "/etc/llmkube/api-keys/keys"
    assert words[-2:] == ("--temp", "0.2")


def test_every_flag_that_is_rendered_is_refused_in_extra_arguments(render: Factory, isvc_spec: Factory) -> None:
    flags = {word for case in SPECS if case != "every option" for word in render(*SPECS[case]) if word[:2] == "--"}
    model_construct = isvc_spec().model_copy(update={"extra_args": tuple(sorted(flags))})
    assert len(refused_extra_args(model_construct, Build(None))) == len(flags)


def test_a_projector_is_given_where_there_is_one(render: Factory) -> None:
    assert value(render({}, {"mmprojSource": "https://h/p.gguf"}), "--mmproj").endswith("/p.gguf")
    assert "--mmproj" not in render()
