"""What the CLI says of a document before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from llmkube.api.model import Model, ModelSpec
from llmkube.api.strict import InvalidResource, explain, parse


def problems(document: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidResource) as caught:
        parse(document)
    return str(caught.value).splitlines()


def test_a_valid_document_is_read_with_its_defaults(model: dict[str, Any]) -> None:
    read = parse(model)
    assert isinstance(read, Model)
    assert (read.spec.cache.mode, read.spec.hardware.accelerator) == ("PerModel", "cpu")


def test_an_unknown_field_is_named_with_the_closest_known_one(service: dict[str, Any]) -> None:
    service["spec"]["contextsize"] = 2048
    assert problems(service) == ["spec.contextsize: unknown field; did you mean contextSize?"]


def test_every_problem_of_a_document_is_reported_at_once(service: dict[str, Any]) -> None:
    service["spec"] = {"replicas": -1, "resources": {"cpu": 4}, "tolerations": [{"key": "a"}, {"effect": "Never"}]}
    found = problems(service)
    assert [line.partition(":")[0] for line in found] == [
        "spec.modelRef",
        "spec.replicas",
        "spec.resources.cpu",
        "spec.tolerations[1].effect",
    ]
    assert found[2] == "spec.resources.cpu: expected a text, found 4; put it in quotes"


def test_a_bare_on_is_explained_because_yaml_made_it_a_boolean(service: dict[str, Any]) -> None:
    service["spec"]["flashAttention"] = True
    assert problems(service) == [
        (
            "spec.flashAttention: expected 'auto', 'on' or 'off', found True; "
            'YAML reads a bare on or off as a boolean: write "on" with quotes'
        )
    ]


def test_a_rule_names_the_field_at_fault(model: dict[str, Any]) -> None:
    model["spec"]["cache"] = {"mode": "Existing"}
    assert problems(model) == [
        (
            "spec.cache.claimName: expected a claimName with mode Existing, found none; "
            "name the PersistentVolumeClaim to use"
        )
    ]


def test_metadata_and_status_that_a_server_wrote_are_no_problem(model: dict[str, Any]) -> None:
    model["metadata"] |= {"uid": "1", "managedFields": [{}]}
    model["status"] = {"phase": "Ready", "later": True}
    assert parse(model).metadata.name == "small"


def test_a_document_of_another_kind_is_refused() -> None:
    assert problems({"apiVersion": "v1", "kind": "Pod"}) == [
        "expected inference.llmkube.dev/v1alpha1 Model or InferenceService, found v1 Pod"
    ]


@pytest.mark.parametrize("name", ["3b", "Small", "a" * 64, "a_b", "a-"])
def test_a_name_that_no_service_could_have_is_refused(model: dict[str, Any], name: str) -> None:
    model["metadata"]["name"] = name
    assert problems(model)[0].startswith("metadata.name: ")


def test_a_stored_spec_with_fields_of_a_later_version_is_still_read() -> None:
    assert ModelSpec.model_validate({"source": "https://h/f", "later": {"a": 1}}).source == "https://h/f"


def test_a_stored_spec_that_is_wrong_reads_as_one_line_for_a_condition() -> None:
    with pytest.raises(ValidationError) as caught:
        ModelSpec.model_validate({"source": "https://h/f", "resources": {"memory": "4GB"}})
    line = explain(caught.value)
    assert line.startswith("spec.resources.memory: expected a text that matches")
    assert "\n" not in line


def test_a_manifest_is_as_short_as_a_person_would_write_it() -> None:
    manifest = Model.of("small", ModelSpec(source="https://h/f"), namespace="ai")
    assert manifest == {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": "small", "namespace": "ai"},
        "spec": {"source": "https://h/f"},
    }
