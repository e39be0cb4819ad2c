"""One version, wherever it is written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

import llmkube
from llmkube.desired.settings import FETCHER_IMAGE

ROOT = Path(__file__).parents[2]


def test_the_package_the_project_file_and_the_operators_image_name_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    operator = yaml.safe_load((ROOT / "manifests" / "base" / "operator.yaml").read_text())
    image = operator["spec"]["template"]["spec"]["containers"][0]["image"]
    assert project["version"] == llmkube.__version__
    assert image == FETCHER_IMAGE, "the operator and what it fetches with are one image"
    assert image.endswith(f":{llmkube.__version__}"), "a moving tag is pulled anew for every pod"
