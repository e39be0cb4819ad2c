"""Each rule in CEL and in Python: the same verdict, and the same line, for the same object."""

from __future__ import annotations

import functools
from typing import Any

import celpy
import pytest
from celpy import celtypes
from pydantic import ValidationError

from llmkube.api.container import EnvVar, EnvVarSource, Strategy
from llmkube.api.fields import Record
from llmkube.api.hardware import GPU
from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import Cache, ModelSpec
from llmkube.api.options import Speculative

ISVC, KEY = {"modelRef": "m"}, {"name": "s", "key": "k"}
BROKEN: list[tuple[type[Record], dict[str, Any]]] = [
    (GPU, {"count": 2, "sharding": {"layerSplit": ["0-1"]}}),
    (GPU, {"sharding": {"layerSplit": ["0-1", "2-3"]}}),
    (ModelSpec, {"source": "ftp://host/file"}),
    (ModelSpec, {"source": "https:///file"}),
    (ModelSpec, {"source": "/models/file.gguf"}),
    (ModelSpec, {"source": "file://host/file"}),
    (ModelSpec, {"source": "https://host/a b"}),
    (ModelSpec, {"source": "https://host/a\n"}),
    (ModelSpec, {"source": "https://user:pw@host/file"}),
    (Cache, {"mode": "Existing"}),
    (Cache, {"mode": "Shared", "claimName": "c"}),
    (Cache, {"mode": "Ephemeral", "accessMode": "ReadWriteOnce"}),
    (InferenceServiceSpec, ISVC | {"cacheTypeV": "q8_0", "flashAttention": "off"}),
    (InferenceServiceSpec, ISVC | {"ubatchSize": 4096}),
    (InferenceServiceSpec, ISVC | {"ubatchSize": 513, "batchSize": 512}),
    (InferenceServiceSpec, ISVC | {"extraArgs": ["--seed", "1", "--api-key=hidden"]}),
    (InferenceServiceSpec, ISVC | {"extraArgs": ["-m", "/etc/passwd"]}),
    (InferenceServiceSpec, ISVC | {"extraArgs": ["--tools", "all"]}),
    (InferenceServiceSpec, ISVC | {"extraArgs": ["--hf_repo", "a/b"]}),
    (InferenceServiceSpec, ISVC | {"chatTemplateRef": {"name": "t"}, "jinja": False}),
    (InferenceServiceSpec, ISVC | {"speculative": {"draftModelRef": "m"}}),
    (InferenceServiceSpec, ISVC | {"speculative": {"draftModelRef": "d"}, "mode": "rerank"}),
    (Speculative, {"draftModelRef": "d", "minTokens": 4}),
    (Speculative, {"draftModelRef": "d", "minTokens": 2, "maxTokens": 1}),
    (EnvVar, {"name": "LLAMA_ARG_MODEL", "value": "x"}),
    (EnvVar, {"name": "A", "value": "x", "valueFrom": {"secretKeyRef": KEY}}),
    (EnvVarSource, {}),
    (EnvVarSource, {"secretKeyRef": KEY, "configMapKeyRef": KEY}),
    (Strategy, {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
]
KEPT: list[tuple[type[Record], dict[str, Any]]] = [
    (GPU, {"count": 2, "sharding": {"layerSplit": ["0-1", "2-3"]}}),
    (GPU, {"count": 2, "sharding": {}}),
    (GPU, {}),
    (ModelSpec, {"source": "hf://org/repo/file.gguf@main"}),
    (ModelSpec, {"source": "pvc://claim/a/b.gguf"}),
    (ModelSpec, {"source": "file:///models/file.gguf"}),
    (ModelSpec, {"source": "http://127.0.0.1:8765/a.gguf"}),
    (ModelSpec, {"source": "s3://bucket/key"}),
    (Cache, {}),
    (Cache, {"mode": "Existing", "claimName": "c"}),
    (Cache, {"mode": "Shared", "storageClassName": "fast"}),
    (InferenceServiceSpec, ISVC),
    (InferenceServiceSpec, ISVC | {"cacheTypeV": "q8_0"}),
    (InferenceServiceSpec, ISVC | {"cacheTypeV": "f32", "flashAttention": "off"}),
    (InferenceServiceSpec, ISVC | {"ubatchSize": 4096, "batchSize": 4096}),
    (InferenceServiceSpec, ISVC | {"extraArgs": ["--seed", "42", "--models", "--hosts"]}),
    (InferenceServiceSpec, ISVC | {"chatTemplateRef": {"name": "t"}}),
    (InferenceServiceSpec, ISVC | {"speculative": {"draftModelRef": "d"}}),
    (Speculative, {"draftModelRef": "d", "minTokens": 3}),
    (Speculative, {"draftModelRef": "d", "minTokens": 0, "maxTokens": 0}),
    (EnvVar, {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": KEY}}),
    (Strategy, {"rollingUpdate": {"maxSurge": "25%"}}),
]


def _format(template: Any, values: Any) -> celtypes.StringType:
    """Stand in for the API server's string format, which celpy lacks."""
    return celtypes.StringType(str(template) % tuple(values))


@functools.cache
def compiled(expression: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(expression), functions={"format": _format})


def evaluate(expression: str, subject: dict[str, Any]) -> Any:
    return compiled(expression).evaluate({"self": celpy.json_to_cel(subject)})


def defaulted(record: type[Record], document: dict[str, Any]) -> dict[str, Any]:
    """Return the document as the API server hands it to a rule: with the defaults of the schema."""
    whole = record.model_construct()
    scalars = {k: v for k, v in whole.model_dump(by_alias=True, mode="json").items() if v is not None and v != []}
    return scalars | document


@pytest.mark.parametrize(("record", "document"), BROKEN, ids=lambda value: str(value)[:70])
def test_what_breaks_a_rule_breaks_it_in_both_languages_with_one_line(
    record: type[Record], document: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as caught:
        record.model_validate(document)
    error = caught.value.errors()[0]
    subject = defaulted(record, document)
    broken = [entry.schema() for entry in record.rules if not evaluate(entry.cel, subject)]
    said = [evaluate(b["messageExpression"], subject) if "messageExpression" in b else b["message"] for b in broken]
    assert error["msg"] == said[0]
    assert "hidden" not in error["msg"]


@pytest.mark.parametrize(("record", "document"), KEPT, ids=lambda value: str(value)[:70])
def test_what_keeps_the_rules_keeps_them_in_both_languages(record: type[Record], document: dict[str, Any]) -> None:
    assert record.model_validate(document) is not None
    assert all(evaluate(rule.cel, defaulted(record, document)) for rule in record.rules)


def test_every_rule_is_broken_by_some_example() -> None:
    records = {record for record, _ in BROKEN}
    broken = {r.cel for kind, d in BROKEN for r in kind.rules if not evaluate(r.cel, defaulted(kind, d))}
    assert broken == {rule.cel for record in records for rule in record.rules}
