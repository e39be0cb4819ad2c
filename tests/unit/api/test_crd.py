"""The definitions: what is committed is what the models say, and the API server will take it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from llmkube.api.crd import crds
from llmkube.api.strict import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))


def schemas() -> list[tuple[str, dict[str, Any]]]:
    return [(crd["spec"]["names"]["kind"], crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]) for crd in crds()]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[{key}]")


def every_node() -> list[tuple[str, dict[str, Any]]]:
    return [(kind + path, node) for kind, schema in schemas() for path, node in nodes(schema)]


def test_the_committed_definitions_are_what_the_models_say() -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "hack" / "generate", "--check"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "")


def test_every_node_is_typed_and_structural() -> None:
    allowed = {"string", "integer", "number", "boolean", "array", "object"}
    untyped = [path for path, node in every_node() if node.get("type") not in allowed]
    assert all("x-kubernetes-int-or-string" in node for path, node in every_node() if path in untyped)
    for path, node in every_node():
        assert not {"$ref", "title", "const", "oneOf", "allOf", "propertyNames"} & set(node), path
        assert "anyOf" not in node or "x-kubernetes-int-or-string" in node, path


def test_every_text_and_list_and_map_is_bounded() -> None:
    bounds = {"string": {"maxLength", "enum", "format"}, "array": {"maxItems"}}
    kubernetes_own = {f"{kind}.{field}" for kind, _ in schemas() for field in ("apiVersion", "kind")}
    for path, node in every_node():
        if path not in kubernetes_own:
            wanted = bounds.get(node.get("type", ""))
            assert wanted is None or wanted & set(node), path
            assert "additionalProperties" not in node or "maxProperties" in node, path


def test_every_list_says_how_it_merges() -> None:
    lists = [(path, node) for path, node in every_node() if node.get("type") == "array"]
    assert lists
    for path, node in lists:
        assert node["x-kubernetes-list-type"] in {"atomic", "set", "map"}, path
        keys = node.get("x-kubernetes-list-map-keys", [])
        assert all(key in node["items"].get("required", ()) for key in keys), path


def test_every_field_that_a_person_writes_is_explained() -> None:
    silent = [path for path, node in every_node() if ".spec." in path and "description" not in node]
    assert [path for path in silent if not path.endswith(("[items]", "[additionalProperties]"))] == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_every_sample_is_valid(sample: Path) -> None:
    documents = [document for document in yaml.safe_load_all(sample.read_text()) if document["kind"] != "Secret"]
    *models, service = [parse(document).kind for document in documents]
    assert (set(models), service) == ({"Model"}, "InferenceService")


def test_the_scale_subresource_names_a_selector() -> None:
    assert crds()[1]["spec"]["versions"][0]["subresources"]["scale"]["labelSelectorPath"] == ".status.selector"


def test_the_columns_of_0_2_are_there_for_everyone_and_the_rest_only_when_wide() -> None:
    columns = [crd["spec"]["versions"][0]["additionalPrinterColumns"] for crd in crds()]
    shown = [[column["name"] for column in kind if "priority" not in column] for kind in columns]
    assert shown == [["Phase", "Size", "Accelerator", "Age"], ["Phase", "Model", "Replicas", "Endpoint", "Age"]]
