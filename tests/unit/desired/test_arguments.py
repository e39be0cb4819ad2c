"""llama-server's arguments: complete, accepted by the real parser, and never a way round the operator."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.real_engine import MISSING, program

from llmkube.api.model import GGUFFacts
from llmkube.desired.api_keys import MOUNT_PATH, keys_part
from llmkube.desired.arguments import Files, arguments, effective_context, refused_extra_args
from llmkube.local.engine.flags import parse

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
def render(isvc_spec: Factory, model_spec: Factory) -> Factory:
    def make(isvc: dict[str, Any] | None = None, model: dict[str, Any] | None = None) -> tuple[str, ...]:
        spec, model_read = isvc_spec(**isvc or {}), model_spec(**model or {})
        files = Files("/models/m.gguf", "/models/p.gguf" if model_read.mmproj_source else None)
        words = arguments("chat", spec, model_read, files=files, context=2048, threads=2)
        return (*words, *keys_part(spec, {}).args, *spec.extra_args)  # as the Deployment has them

    return make


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
    keys = tmp_path / "keys"
    keys.write_text("secret\n")
    words = [str(keys) if word.startswith(MOUNT_PATH) else word for word in render(*SPECS[case])]
    # --version ends the parse where it stands, so that all before it was read and nothing is loaded.
    run = subprocess.run([llama_server, *words, "--version"], capture_output=True, text=True, timeout=30, check=False)
    assert (run.returncode, "version" in run.stdout + run.stderr) == (0, True), run.stderr


@pytest.mark.engine
def test_the_real_llama_server_refuses_a_flag_it_does_not_know(llama_server: str) -> None:
    run = subprocess.run([llama_server, "--no-such-flag", "--version"], capture_output=True, timeout=30, check=False)
    assert run.returncode != 0


@pytest.mark.parametrize("case", SPECS)
def test_the_launcher_of_local_mode_takes_every_rendered_list(case: str, render: Factory, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("secret\n")
    words = [str(keys) if word.startswith(MOUNT_PATH) else word for word in render(*SPECS[case])]
    assert ("port", 8080) in parse(words)


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
        ({"accelerator": "cuda", "gpu": {"enabled": False, "count": 1}}, "0"),
        ({"accelerator": "metal"}, "auto"),
        ({"accelerator": "metal", "gpu": {"enabled": False}}, "0"),
    ],
)
def test_layers_go_to_gpus_only_where_there_are_some(hardware: dict[str, Any], layers: str, render: Factory) -> None:
    assert value(render({}, {"hardware": hardware}), "--n-gpu-layers") == layers


def test_layers_are_split_only_over_several_gpus(render: Factory) -> None:
    assert value(render({}, {"hardware": CUDA}), "--split-mode") == "layer"
    assert "--split-mode" not in render({"resources": {"gpu": 1}}, {"hardware": CUDA})


@pytest.mark.parametrize(("mode", "flag"), [("embedding", "--embeddings"), ("rerank", "--reranking")])
def test_a_mode_is_a_flag_and_keeps_no_prompts(mode: str, flag: str, render: Factory) -> None:
    words = render({"mode": mode})
    assert flag in words
    assert value(words, "--cache-ram") == "0"
    assert flag not in render()


def test_keys_are_named_by_file_and_extra_arguments_come_last(render: Factory) -> None:
    words = render({"auth": {"secretRef": {"name": "keys"}}, "extraArgs": ["--temp", "0.2"]})
    assert value(words, "--api-key-file") == "/etc/llmkube/api-keys/keys"
    assert words[-2:] == ("--temp", "0.2")


@pytest.mark.parametrize(
    ("asked", "trained", "expected"),
    [
        ({"contextSize": 2048}, 4096, (2048, False)),
        ({"contextSize": 4096}, 4096, (4096, False)),
        ({"contextSize": 32768}, 4096, (4096, True)),
        ({"contextSize": 8192, "parallel": 2}, 4096, (8192, False)),
        ({"contextSize": 8193, "parallel": 2}, 4096, (8192, True)),
        ({"contextSize": 32768}, None, (32768, False)),
        ({}, 4096, (4096, False)),
        ({}, 131072, (8192, False)),
        ({"parallel": 4}, 131072, (32768, False)),
        ({}, None, (8192, False)),
    ],
)
def test_a_context_above_the_trained_one_is_clamped_and_said(
    asked: dict[str, Any], trained: int | None, expected: tuple[int, bool], isvc_spec: Factory
) -> None:
    assert effective_context(isvc_spec(**asked), GGUFFacts(context_length=trained)) == expected


def test_a_context_is_known_before_the_header_is(isvc_spec: Factory) -> None:
    assert effective_context(isvc_spec(), None) == (8192, False)


@pytest.mark.parametrize(
    "word",
    [
        "-c",
        "--ctx-size",
        "--ctx_size",
        "--threads=9",
        "--n-gpu-layers",
        "--no-slots",
        "--embeddings",
        "--ssl-cert-file",
        "-ag",
    ],
)
def test_a_flag_that_the_operator_sets_is_refused_by_name(word: str, isvc_spec: Factory) -> None:
    (line,) = refused_extra_args(isvc_spec(extraArgs=["--temp", "1", word, "5"]))
    assert line.startswith("spec.extraArgs: ")
    assert word.partition("=")[0].replace("_", "-") in line


@pytest.mark.parametrize("word", ["--hf-repo-draft", "-hfd", "-mmu", "--spec-draft-hf", "--gpt-oss-20b-default"])
def test_a_flag_that_fetches_unverified_bytes_is_refused(word: str, isvc_spec: Factory) -> None:
    assert "verifies" in refused_extra_args(isvc_spec(extraArgs=[word]))[0]


def test_other_arguments_pass(isvc_spec: Factory) -> None:
    words = ["--temp", "0.2", "--no-warmup", "--threads-batch", "4", "-1", "c", "--spec-default"]
    assert refused_extra_args(isvc_spec(extraArgs=words)) == ()


def test_every_flag_that_is_rendered_is_refused_in_extra_arguments(render: Factory, isvc_spec: Factory) -> None:
    flags = {word for case in SPECS if case != "every option" for word in render(*SPECS[case]) if word[:2] == "--"}
    model_construct = isvc_spec().model_copy(update={"extra_args": tuple(sorted(flags))})
    assert len(refused_extra_args(model_construct)) == len(flags)


def test_a_projector_is_given_where_there_is_one_and_never_by_hand(render: Factory, isvc_spec: Factory) -> None:
    assert value(render({}, {"mmprojSource": "https://h/p.gguf"}), "--mmproj") == "/models/p.gguf"
    assert "--mmproj" not in render()
    (line,) = refused_extra_args(isvc_spec(extraArgs=["--mmproj", "/x.gguf"]))
    assert "mmprojSource of the Model" in line
