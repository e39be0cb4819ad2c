"""`llmkube inspect` as a person and a script use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmkube.cli.main import main

WriteGGUF = Callable[..., Path]


def inspect(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_the_table_says_what_the_model_is_and_needs(smollm2: Path) -> None:
    result = inspect(smollm2, "--context", "2048")

    rows = dict(line.split("   ", 1) for line in result.stdout.splitlines())
    shown = {title.strip(): value.strip() for title, value in rows.items()}
    assert result.exit_code == 0
    assert (shown["PARAMETERS"], shown["QUANTIZATION"], shown["LICENSE"]) == ("134.5M", "Q4_1", "apache-2.0")
    assert shown["SIZE"] == "98.4 MB (98362432 bytes)"
    assert "with 2048 tokens of context" in shown["MEMORY"]


def test_json_has_the_fields_of_a_models_status_and_the_plan(smollm2: Path) -> None:
    told = json.loads(inspect(smollm2, "-o", "json", "--ctx-size", "4096", "--parallel", "2").stdout)

    assert told["sizeBytes"] == smollm2.stat().st_size
    assert (told["gguf"]["headCountKV"], told["gguf"]["vocabularySize"]) == (3, 49_152)
    assert told["memory"]["kvCachePerToken"] == 23_040
    assert "layout" not in told["memory"]
    assert told["plan"]["buffers"]["kv"] == 4096 * 23_040
    assert told["plan"]["total"] == sum(told["plan"]["buffers"].values())


def test_a_relative_path_is_a_file_here(write_gguf: WriteGGUF, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_gguf("here.gguf").parent)

    assert "ARCHITECTURE    llama" in inspect("here.gguf").stdout


def test_what_a_file_says_cannot_write_on_the_terminal(write_gguf: WriteGGUF) -> None:
    path = write_gguf(extra={"general.name": "nice\x1b[2J\nSIZE 1 B\u202e"})

    table = inspect(path).stdout

    assert "\x1b" not in table
    assert "\u202e" not in table
    assert not any(line.startswith("SIZE 1 B") for line in table.splitlines())


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("page.gguf", b"<!DOCTYPE html>", 1, "an HTML page"),
        ("cut.gguf", b"GGUF\x03\x00\x00\x00", 1, "the file is incomplete"),
        ("missing.gguf", None, 3, "No such file"),
        ("two words.gguf", b"GGUF", 2, "expected a file name"),
    ],
)
def test_a_file_that_is_no_model_is_one_line_and_an_exit_code(
    tmp_path: Path, name: str, content: bytes | None, code: int, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    result = inspect(tmp_path / name)

    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_projector_alone_has_no_plan_but_facts(write_gguf: WriteGGUF) -> None:
    path = write_gguf(architecture="clip", extra={"block_count": None, "embedding_length": None})

    fit = CliRunner().invoke(main, ["fit", str(path), "--gpu", "L4"])

    assert "ARCHITECTURE    clip" in inspect(path).stdout
    assert (fit.exit_code, fit.stdout) == (2, "")
    assert "expected a model with layers" in fit.stderr


def test_a_source_that_only_pods_see_is_refused() -> None:
    result = inspect("pvc://claim/model.gguf")

    assert result.exit_code == 1
    assert "read by pods only" in result.stderr
