"""A catalogue of one's own: the same schema over the shipped one, and one clear line for what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from llmkube.cli import errors
from llmkube.cli.catalog import read
from llmkube.cli.main import main

Write = Callable[..., Path]


def catalog(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["catalog", *map(str, arguments)])


@pytest.fixture(autouse=True)
def _no_own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(read.VARIABLE, raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a catalogue of one model, of a shipped one's fields with some changed; None takes a field away."""

    def write(**changes: Any) -> Path:
        shipped = yaml.safe_load((Path(read.__file__).parent / "models" / "llama.yaml").read_text())["models"][0]
        model = {name: value for name, value in {**shipped, **changes}.items() if value is not None}
        path = tmp_path / "own.yaml"
        path.write_text(yaml.safe_dump({"models": [model]}))
        return path

    return write


def test_an_own_model_is_listed_and_deployed_like_the_others(write: Write) -> None:
    own = write(id="house-model", source="https://models.example.com/house-{quantization}.gguf")

    assert "house-model" in catalog("list", "--catalog", own, "-o", "name").stdout.split()
    done = catalog(
        "deploy", "house-model", "--catalog", own, "--dry-run=client", "-o", "yaml", "--quantization", "q8_0"
    )
    model, _ = yaml.safe_load_all(done.stdout)
    assert model["spec"]["source"] == "https://models.example.com/house-Q8_0.gguf"


def test_an_own_model_takes_the_place_of_a_shipped_one(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    own = write(description="Ours.")
    monkeypatch.setenv(read.VARIABLE, str(own))

    told = json.loads(catalog("info", "llama-3.2-1b-instruct", "-o", "json").stdout)

    assert told["description"] == "Ours."
    assert len(read.entries()) == len(read.shipped())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"license": None}, "models[0].license: expected a value, found none"),
        ({"tasks": ["poetry"]}, "models[0].tasks[0]: expected 'chat', 'code'"),
        ({"id": "Two Words"}, "models[0].id: expected a text that matches"),
        ({"quantizations": [{"name": "Q9_X"}]}, "models[0].quantizations[0]: expected a quantization among"),
        ({"quantizations": [{"name": "Q8_0", "sha256": "abc"}]}, "models[0].quantizations[0].sha256: expected a text"),
        ({"architecture": "abacus"}, "models[0]: expected an architecture among"),
        ({"header": {"block_count": 1}}, "models[0]: header.embedding_length: expected a number above 0"),
        ({"colour": "red"}, "models[0].colour: "),
        ({"parameters": "many"}, "models[0].parameters: "),
    ],
)
def test_a_bad_field_is_one_line_with_the_file_and_the_field(write: Write, changes: dict[str, Any], words: str) -> None:
    own = write(**changes)

    result = catalog("list", "--catalog", own)

    assert (result.exit_code, result.stdout) == (errors.USAGE, "")
    assert result.stderr.startswith(f"error: {own}: {words}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [", "cannot be read as YAML: line 2"),
        ("- 1", "expected an object, found [1]"),
        ("", "expected one YAML document with a list `models`, found 0"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nmodels: []", "a: "),
    ],
)
def test_what_is_no_catalogue_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)

    result = catalog("list", "--catalog", path)

    assert result.exit_code == errors.USAGE
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_id_that_stands_twice_is_an_error(tmp_path: Path, write: Write) -> None:
    own = write()
    content = yaml.safe_load(own.read_text())
    own.write_text(yaml.safe_dump({"models": content["models"] * 2}))

    assert "expected each id once, found 'llama-3.2-1b-instruct' twice" in catalog("list", "--catalog", own).stderr


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    result = catalog("list", "--catalog", tmp_path / "none.yaml")

    assert result.exit_code == errors.USAGE
    assert "none.yaml: cannot be read: No such file" in result.stderr
