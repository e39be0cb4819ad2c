"""llama-server's flags as the launcher reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmkube.local.engine.flags import FLAGS, FlagError, from_environment, parse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (["-m", "/a.gguf"], [("model.path", "/a.gguf")]),
        (["--model", "/a.gguf"], [("model.path", "/a.gguf")]),
        (["--mmproj", "/p.gguf"], [("mmproj.path", "/p.gguf")]),
        (["--ctx_size", "2048"], [("n_ctx", 2048)]),
        (["-c", "1", "-c", "2"], [("n_ctx", 1), ("n_ctx", 2)]),
        (["--alias", "a, b"], [("model_alias", {"a", "b"})]),
        (["-fa", "on", "-ctk", "q8_0"], [("flash_attn_type", 1), ("cache_type_k", 8)]),
        (["-ngl", "all", "-ngl", "-1"], [("n_gpu_layers", -2), ("n_gpu_layers", -1)]),
        (["--rerank"], [("embedding", True), ("pooling_type", 4)]),
        (["--no-jinja", "--slots"], [("use_jinja", False), ("endpoint_slots", True)]),
        (["--lora-scaled", "/a.gguf:0,/b:1.gguf:0.5"], [("lora_adapters", [("/a.gguf", 0.0), ("/b:1.gguf", 0.5)])]),
        (["--spec-type", "draft-simple"], [("speculative.types", [1])]),
        (["--spec-draft-ngl", "auto"], [("speculative.draft.n_gpu_layers", -1)]),
        (["--spec-draft-model", "/d.gguf"], [("speculative.draft.mparams.path", "/d.gguf")]),
        (["--timeout", "7"], [("timeout_read", 7), ("timeout_write", 7)]),
    ],
)
def test_a_flag_means_what_it_means_to_llama_server(arguments: list[str], settings: list[object]) -> None:
    assert parse(arguments) == settings


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--mmproj-url", "x"], "--mmproj-url: expected a flag of llama-server"),
        (["--api-key=secret"], "--api-key: expected a flag of llama-server"),
        (["-m"], "-m: expected a value, found none"),
        (["-c", "many"], "-c: expected a whole number, found 'many'"),
        (["-c", "9" * 40], "-c: expected a whole number"),
        (["-fa", "yes"], "-fa: expected one of auto, off, on, found 'yes'"),
        (["-ts", ",".join("1" * 129)], "-ts: expected at most 128 shares, found 129"),
        (["--lora-scaled", "/a.gguf"], "--lora-scaled: expected PATH:SCALE"),
        (["--lora-scaled", "/a.gguf:much"], "--lora-scaled: "),
        (["--spec-type", "draft-mtp"], "--spec-type: expected one of none, draft-simple"),
        (["--api-key-file", "/no/such"], "--api-key-file: "),
    ],
)
def test_a_flag_that_cannot_be_honoured_is_refused_by_name(arguments: list[str], line: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(arguments)
    assert str(caught.value).startswith(line)
    assert "secret" not in str(caught.value)


def test_an_api_key_file_without_keys_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "keys"
    empty.write_text("\n\n")
    with pytest.raises(FlagError, match="expected an API key a line"):
        parse(["--api-key-file", str(empty)])


def test_api_keys_are_read_one_a_line(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# ours\none\n\n two \n")
    assert parse(["--api-key-file", str(keys)]) == [("api_keys", ["one", "two"])]


def test_every_flag_of_the_serving_document_is_known() -> None:
    rendered = (
        "--model --alias --host --port --ctx-size --parallel --n-gpu-layers --split-mode --tensor-split --main-gpu "
        "--flash-attn --cache-type-k --cache-type-v --batch-size --ubatch-size --threads --metrics --slots --jinja "
        "--cache-ram --api-key-file --embedding --reranking --threads-batch --no-jinja --pooling"
    )
    assert set(rendered.split()) <= set(FLAGS)


def test_what_an_engine_of_unknown_build_is_told_by_its_environment_is_honoured_and_flags_win() -> None:
    environ = {"LLAMA_ARG_CACHE_RAM": "512", "LLAMA_ARG_JINJA": "0", "LLAMA_ARG_FLASH_ATTN": "on", "OTHER": "1"}
    words = from_environment(environ)
    assert words == ["--cache-ram", "512", "--flash-attn", "on", "--no-jinja"]
    settings = dict(parse([*words, "--cache-ram", "0"]))
    assert (settings["cache_ram_mib"], settings["use_jinja"]) == (0, False)
    assert from_environment({"LLAMA_ARG_JINJA": "1"}) == ["--jinja"]
