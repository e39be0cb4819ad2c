"""`llmkube catalog` as typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner, Result

from llmkube.cli import errors
from llmkube.cli.main import main


def catalog(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["catalog", *arguments])


def names(*filters: str) -> set[str]:
    return set(catalog("list", "-o", "name", *filters).stdout.split())


def test_the_list_is_a_table_that_filters_narrow() -> None:
    table = catalog("list").stdout.splitlines()
    assert table[0].split()[:3] == ["ID", "TASKS", "PARAMETERS"]
    assert any(line.startswith("qwen3-8b ") for line in table)
    assert names("--task", "code") < names()
    assert names("--task", "embedding").isdisjoint(names("--task", "code"))
    assert names("--license", "Apache-2.0") == names("--license", "apache-2.0") < names()
    assert {"smollm2-135m-instruct"} <= names("--max-memory", "1Gi") < names("--max-memory", "8Gi") < names()


def test_the_list_is_for_programs_too() -> None:
    told = json.loads(catalog("list", "--task", "rerank", "-o", "json").stdout)
    (model,) = told["models"]
    assert model["id"] == "bge-reranker-v2-m3"
    assert model["memoryBytes"] > 500_000_000
    assert yaml.safe_load(catalog("list", "--task", "rerank", "-o", "yaml").stdout) == told


def test_info_tells_the_memory_by_context_and_what_would_be_deployed() -> None:
    text = catalog("info", "llama-3.1-8b-instruct").stdout
    assert "7b064f5842bf9532c91456deda288a1b672397a54fa729aa665952863033557c" in text
    assert ["QUANTIZATION", "4K", "8K", "32K", "128K"] in [line.split() for line in text.splitlines()]
    assert list(yaml.safe_load_all(text.partition("applies:\n")[2])) == list(
        yaml.safe_load_all(catalog("deploy", "llama-3.1-8b-instruct", "--dry-run=client", "-o", "yaml").stdout)
    )


def test_info_of_a_program_has_bytes() -> None:
    told = json.loads(catalog("info", "gemma-3-4b-it", "-o", "json").stdout)
    row = told["memoryBytes"]["Q4_K_M"]
    assert row["131072"] > row["4096"] > 2_000_000_000
    assert [each["kind"] for each in told["manifests"]] == ["Model", "InferenceService"]


def test_deploy_is_deploy_with_the_catalogues_source_and_digest() -> None:
    flags = ("--name", "chat", "--gpu", "--gpu-memory", "16Gi", "--context-size", "16384")
    mine = catalog("deploy", "qwen3-8b", *flags, "--dry-run=client", "-o", "yaml").stdout
    model, service = yaml.safe_load_all(mine)
    assert model["metadata"] == service["metadata"] == {"name": "chat"}
    assert model["spec"]["source"] == "hf://bartowski/Qwen_Qwen3-8B-GGUF/Qwen_Qwen3-8B-Q4_K_M.gguf"
    assert model["spec"]["sha256"].startswith("54fffa05")
    assert model["spec"]["hardware"]["gpu"] == {"enabled": True, "memory": "16Gi"}
    assert service["spec"] == {"modelRef": "chat", "contextSize": 16384}


def test_a_model_that_embeds_is_served_in_that_mode() -> None:
    _, service = yaml.safe_load_all(catalog("deploy", "bge-m3", "--dry-run=client", "-o", "yaml").stdout)
    assert service["spec"]["mode"] == "embedding"


def test_a_model_that_sees_is_deployed_with_its_projector() -> None:
    def source(*flags: str) -> str | None:
        result = catalog("deploy", "qwen3-vl-4b-instruct", *flags, "--dry-run=client", "-o", "yaml")
        return next(yaml.safe_load_all(result.stdout))["spec"].get("mmprojSource")

    assert source() == "hf://unsloth/Qwen3-VL-4B-Instruct-GGUF/mmproj-F16.gguf"
    assert source("--mirror", "https://m.example/") == "https://m.example/qwen3-vl-4b-instruct/mmproj-F16.gguf"
    assert source("--text-only") is None


def test_a_mirror_has_the_file_of_the_same_name_and_digest() -> None:
    arguments = ("deploy", "qwen3-8b", "--mirror", "https://models.example.com/gguf/", "--dry-run=client", "-o", "yaml")
    model, _ = yaml.safe_load_all(catalog(*arguments).stdout)
    assert model["spec"]["source"] == "https://models.example.com/gguf/Qwen_Qwen3-8B-Q4_K_M.gguf"
    assert model["spec"]["sha256"].startswith("54fffa05")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("info", "qwen3-8"), errors.NOT_FOUND, "did you mean qwen3-8b"),
        (("deploy", "zzz"), errors.NOT_FOUND, "llmkube catalog list shows all"),
        (("deploy", "qwen3-8b", "--quantization", "Q1"), errors.USAGE, "expected a quantization among Q4_K_M"),
        (("list", "--max-memory", "much"), errors.USAGE, "--max-memory: expected a quantity"),
        (("deploy", "qwen3-8b", "--memory", "4Gx"), errors.USAGE, "spec.resources.memory"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: tuple[str, ...], code: int, words: str) -> None:
    result = catalog(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("llmkube catalog ", {"check", "list", "info", "deploy"}),
        ("llmkube catalog info qwen3-8", {"qwen3-8b"}),
        ("llmkube catalog check qwen3-8", {"qwen3-8b"}),
        ("llmkube fit qwen3-8b --gpu l4", {"L4", "L40", "L40S"}),
        ("llmkube catalog deploy qwen3-4b-instruct-2507 --quantization q8", {"Q8_0"}),
    ],
)
def test_the_shell_completes_models_and_quantizations(typed: str, expected: set[str]) -> None:
    words = typed.split(" ")
    environment = {**os.environ, "_LLMKUBE_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "from llmkube.cli.main import main; main(prog_name='llmkube')"],
        env={**environment, "COMP_WORDS": typed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == expected
