"""Documents as people write them: read whole, and every problem told in one line that says where."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llmkube.cli import documents
from llmkube.cli.errors import InputError

MODEL = """\
apiVersion: inference.llmkube.dev/v1alpha1
kind: Model
metadata: {name: m, namespace: team}
spec: {source: "https://example.com/a.gguf"}
"""
SERVICE = """\
apiVersion: inference.llmkube.dev/v1alpha1
kind: InferenceService
metadata: {name: m, namespace: team}
spec: {modelRef: m}
"""


def written(folder: Path, text: str, name: str = "a.yaml") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def problems(folder: Path, text: str) -> list[str]:
    file = written(folder, text)
    with pytest.raises(InputError) as caught:
        documents.check(documents.read([file]))
    return [line.removeprefix(f"{file}: ") for line in caught.value.message.splitlines()]


def test_every_document_of_a_file_is_read_and_empty_ones_are_skipped(tmp_path: Path) -> None:
    read = documents.read([written(tmp_path, f"---\n{MODEL}---\n---\n{SERVICE}")])
    assert [(each.number, each.content["kind"]) for each in read] == [(1, "Model"), (3, "InferenceService")]


def test_a_directory_stands_for_its_yaml_and_json_files_in_order(tmp_path: Path) -> None:
    written(tmp_path, SERVICE, "b.yml")
    written(tmp_path, json.dumps({"kind": "ConfigMap"}), "a.json")
    written(tmp_path, "not: read", "c.txt")
    assert [each.content["kind"] for each in documents.read([str(tmp_path)])] == ["ConfigMap", "InferenceService"]


def test_a_list_stands_for_its_items(tmp_path: Path) -> None:
    read = documents.read([written(tmp_path, "kind: List\napiVersion: v1\nitems: [{kind: A}, {kind: B}]")])
    assert [each.content["kind"] for each in read] == ["A", "B"]


def test_a_sound_file_has_no_problems(tmp_path: Path) -> None:
    documents.check(documents.read([written(tmp_path, f"{MODEL}---\n{SERVICE}")]))


def test_a_problem_names_file_document_object_and_field(tmp_path: Path) -> None:
    found = problems(tmp_path, f"{MODEL}---\n{SERVICE.replace('modelRef: m', 'modelRef: m, replicas: three')}")
    assert len(found) == 1
    assert found[0].startswith("document 2: InferenceService team/m: spec.replicas: expected a valid integer")


def test_all_problems_of_all_documents_are_told_at_once(tmp_path: Path) -> None:
    bad = MODEL.replace("source:", "sources:")
    found = problems(tmp_path, f"{bad}---\n{SERVICE.replace('modelRef: m', 'replicas: 1')}")
    assert [line.partition(": spec.")[2].partition(":")[0] for line in found] == ["source", "sources", "modelRef"]


def test_a_misspelt_field_is_told_with_the_right_one(tmp_path: Path) -> None:
    found = problems(tmp_path, MODEL.replace("source:", "sha265: x, source:"))
    assert found == ["document 1: Model team/m: spec.sha265: unknown field; did you mean sha256?"]


def test_an_object_of_another_kind_needs_a_kind_and_a_name(tmp_path: Path) -> None:
    assert problems(tmp_path, "apiVersion: v1\nmetadata: {}") == [
        "document 1: kind: expected a text, found None",
        "document 1: metadata.name: expected a name, found none; apply needs one",
    ]


def test_the_same_object_twice_is_a_problem(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, f"{MODEL}---\n{MODEL}")
    assert line.startswith("document 2: Model team/m: the same object stands in")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: the key 'a' stands twice"),
        ("a: [1, 2\nb: ]", "line 2, column 2"),
        ("- a\n", "document 1: expected an object, found ['a']"),
        ("? [a]\n: b\n", "expected a text as a key"),
        ("", "expected at least one object, found none"),
    ],
)
def test_what_is_no_set_of_objects_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        documents.read([written(tmp_path, text)])
    assert "\n" not in caught.value.message


def test_aliases_that_unfold_without_end_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(InputError, match="aliases unfold"):
        documents.read([written(tmp_path, "\n".join(lines))])


def test_a_date_stays_the_text_that_was_written(tmp_path: Path) -> None:
    (read,) = documents.read([written(tmp_path, "kind: A\nwhen: 2026-01-02")])
    assert read.content["when"] == "2026-01-02"


@pytest.mark.parametrize("name", ["missing.yaml", "https://example.com/a.yaml"])
def test_what_cannot_be_opened_is_named(name: str) -> None:
    with pytest.raises(InputError, match=name):
        documents.read([name])


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"kind: \xff")
    with pytest.raises(InputError, match="expected UTF-8 text"):
        documents.read([str(tmp_path / "a.yaml")])
