"""Which engine is found, and what is said when there is none."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import pytest

from llmkube.local.engine.find import EngineNotFound, find_engine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "llama-server"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


def test_the_engine_that_the_person_named_comes_before_the_one_on_path(program: Path, tmp_path: Path) -> None:
    named = tmp_path / "my-server"
    named.write_bytes(program.read_bytes())
    named.chmod(0o755)
    engine = find_engine({"LLMKUBE_LLAMA_SERVER": str(named), "PATH": str(tmp_path)})
    assert engine == ((str(named),), "LLMKUBE_LLAMA_SERVER")


def test_a_wrong_name_is_an_error_even_when_another_engine_is_on_path(program: Path) -> None:
    with pytest.raises(
        EngineNotFound, match="LLMKUBE_LLAMA_SERVER: expected the path of an executable, found /no/such"
    ):
        find_engine({"LLMKUBE_LLAMA_SERVER": "/no/such", "PATH": str(program.parent)})


def test_llama_server_on_path_comes_before_the_package(program: Path) -> None:
    assert find_engine({"PATH": str(program.parent)}) == ((str(program),), "PATH")


def test_the_package_is_started_through_the_launcher_in_the_same_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert find_engine({"PATH": str(tmp_path)}).argv == (sys.executable, "-m", "llmkube.local.engine")


@pytest.mark.usefixtures("without_package")
def test_without_any_engine_the_line_names_all_three_ways_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(EngineNotFound) as caught:
        find_engine({"PATH": str(tmp_path)})
    assert all(word in str(caught.value) for word in ("LLMKUBE_LLAMA_SERVER", "llama-server on PATH", "xllamacpp"))
    assert "\n" not in str(caught.value)
