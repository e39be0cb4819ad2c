"""Where local mode keeps what it keeps."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from llmkube.local.home import Home


def test_the_home_is_what_the_variable_names(tmp_path: Path) -> None:
    assert Home.find({"LLMKUBE_HOME": str(tmp_path)}).kubeconfig == tmp_path / "local" / "kubeconfig"


def test_without_the_variable_the_home_is_the_persons_own() -> None:
    assert Home.find({}).root == Path.home() / ".llmkube"
    assert Home.find({"LLMKUBE_HOME": ""}) == Home.find({})


def test_a_relative_home_is_meant_from_here_and_stays_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Home.find({"LLMKUBE_HOME": "here"}).root == tmp_path / "here"


def test_the_directory_is_closed_to_others_also_when_it_was_open_before(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.local.mkdir(parents=True, mode=0o755)
    home.make()
    home.make()
    assert stat.S_IMODE(home.local.stat().st_mode) == 0o700


def test_everything_is_inside_the_one_directory_that_reset_deletes(tmp_path: Path) -> None:
    home = Home(tmp_path)
    paths = [getattr(home, name) for name, value in vars(Home).items() if isinstance(value, property)]
    assert len(paths) > 8
    assert all(path == home.local or home.local in path.parents for path in paths)
