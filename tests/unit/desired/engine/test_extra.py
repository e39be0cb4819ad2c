"""extraArgs: never a way round the operator, and no flag that the engine would end at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmkube.desired.engine.build import Build
from llmkube.desired.engine.extra import refused_extra_args

Factory = Callable[..., Any]
NEWEST, UNKNOWN = Build(11669), Build(None)


@pytest.mark.parametrize("build", [NEWEST, UNKNOWN])
@pytest.mark.parametrize(
    "word",
    [
        "-c",
        "--ctx-size",
        "--ctx_size",
        "--threads=9",
        "--n-gpu-layers",
        "--tensor-split",
        "--main-gpu",
        "--no-slots",
        "--embeddings",
        "--ssl-cert-file",
        "--lora",
        "--lora-scaled",
        "--model-draft",
        "--spec-draft-model",
        "--chat-template-file",
        "--reasoning-budget",
        "--mmproj",
        "--rpc",
        "--version",
        "-ag",
    ],
)
def test_a_flag_that_the_operator_sets_is_refused_by_name_and_place(
    word: str, build: Build, isvc_spec: Factory
) -> None:
    (line,) = refused_extra_args(isvc_spec(extraArgs=["--temp", "1", word, "5"]), build)
    assert line.startswith("spec.extraArgs[2]: ")
    assert word.partition("=")[0].replace("_", "-") in line


@pytest.mark.parametrize("word", ["--hf-repo-draft", "-hfd", "-mmu", "--spec-draft-hf", "--gpt-oss-20b-default"])
def test_a_flag_that_fetches_unverified_bytes_is_refused(word: str, isvc_spec: Factory) -> None:
    assert "verifies" in refused_extra_args(isvc_spec(extraArgs=[word]), NEWEST)[0]


def test_other_arguments_pass(isvc_spec: Factory) -> None:
    words = ["--temp", "0.2", "--no-warmup", "--threads-batch", "4", "--seed", "-1", "--spec-default", "--top-k", "3"]
    assert refused_extra_args(isvc_spec(extraArgs=words), NEWEST) == ()


def test_the_field_is_named_where_there_is_one(isvc_spec: Factory) -> None:
    (line,) = refused_extra_args(isvc_spec(extraArgs=["--mmproj", "/x.gguf"]), NEWEST)
    assert "mmprojSource of the Model" in line


def test_a_flag_that_the_build_does_not_have_is_refused_with_the_nearest_one(isvc_spec: Factory) -> None:
    words = ["--temp", "1", "--no-warmpu"]
    assert refused_extra_args(isvc_spec(extraArgs=words), NEWEST) == (
        "spec.extraArgs[2]: expected a flag of llama-server b11669, found --no-warmpu; did you mean --no-warmup?",
    )
    assert refused_extra_args(isvc_spec(extraArgs=words), UNKNOWN) == ()


def test_a_flag_of_another_build_is_refused_where_it_is_not(isvc_spec: Factory) -> None:
    spec = isvc_spec(extraArgs=["--load-mode", "mlock"])
    assert refused_extra_args(spec, NEWEST) == ()
    assert "b10068" in refused_extra_args(spec, Build(10068))[0]


def test_a_value_that_looks_like_a_flag_is_a_value_but_never_one_of_ours(isvc_spec: Factory) -> None:
    assert refused_extra_args(isvc_spec(extraArgs=["--grammar", "--anything"]), NEWEST) == ()
    assert len(refused_extra_args(isvc_spec(extraArgs=["--grammar", "--slots"]), NEWEST)) == 1


def test_a_value_after_an_equals_sign_is_refused_as_the_engine_would(isvc_spec: Factory) -> None:
    assert "two words" in refused_extra_args(isvc_spec(extraArgs=["--temp=0.2"]), NEWEST)[0]
