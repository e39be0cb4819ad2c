"""x-kubernetes-validations: the rules of a schema in CEL, of a value alone and of a change, and how a broken one is
told. With them our own definitions' rules: what people get wrong in a Model or an InferenceService."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.client import Client
from tests.conformance.gauges import gauge
from tests.conformance.objects import Object, Places, inference_service, model

INVALID = "FieldValueInvalid"


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        (
            {"range": {"low": 3, "high": 2}},
            (INVALID, "spec.range.low", "Invalid value: low is at most high, found 3 and 2"),
        ),
        ({"range": {}}, ("FieldValueRequired", "spec.range.high", "Required value: high is needed")),
        (
            {"range": {"low": 13, "high": 14}},
            ("FieldValueForbidden", "spec.range", "Forbidden: not thirteen"),
        ),
        (
            {"range": {"low": 14, "high": 14}},
            ("FieldValueDuplicate", "spec.range.low", "Duplicate value"),
        ),
        (
            {"text": "other"},
            (INVALID, "spec.text", "Invalid value: \"other\": failed rule: self.startsWith('t') && self.size() < 9"),
        ),
        (
            {"guess": {"high": 1}},
            (INVALID, "spec.guess", 'Invalid value: "object": no such key: low evaluating rule: low is above 0'),
        ),
        ({"amount": "1Mi"}, (INVALID, "spec.amount", 'Invalid value: "1Mi": more than 1Gi')),
        ({"amount": "much"}, (INVALID, "spec.amount", 'Invalid value: "much": more than 1Gi')),
        ({"pairs": [2, 3]}, (INVALID, "spec.pairs", "Invalid value: one of them is 1, all above 0")),
    ],
)
async def test_a_broken_rule_is_told_with_its_message_its_reason_and_its_field(
    api: Client, here: Places, spec: Object, cause: tuple[str, str, str]
) -> None:
    answer = await api.post(here.gauges, gauge("one", spec))
    assert (answer.status, answer.causes) == (422, [cause])


async def test_a_rule_of_the_whole_object_knows_its_name(api: Client, here: Places) -> None:
    answer = await api.post(here.gauges, gauge("forbidden"))
    assert (answer.status, answer.causes) == (422, [(INVALID, "<nil>", "Invalid value: not by that name")])


@pytest.mark.parametrize(
    "spec", [{"range": {"low": 2, "high": 2}}, {"text": "task"}, {"amount": "2Gi"}, {"pairs": [1, 2]}, {"fixed": 1}]
)
async def test_what_holds_to_the_rules_is_taken(api: Client, here: Places, spec: Object) -> None:
    assert (await api.post(here.gauges, gauge("one", spec))).status == 201


async def test_a_rule_about_a_change_is_asked_only_where_there_was_a_value(api: Client, here: Places) -> None:
    await api.post(here.gauges, gauge("one"))
    one = f"{here.gauges}/one"
    assert (await api.patch(one, {"spec": {"fixed": 1}})).status == 200
    assert (await api.patch(one, {"spec": {"fixed": 1, "count": 2}})).status == 200
    answer = await api.patch(one, {"spec": {"fixed": 2}})
    assert answer.causes == [(INVALID, "spec.fixed", "Invalid value: 2: fixed never changes")]
    assert (await api.patch(one, {"spec": {"fixed": None}})).status == 200


async def test_a_rule_with_an_optional_old_value_is_asked_always(api: Client, here: Places) -> None:
    await api.post(here.gauges, gauge("one", {"once": ""}))
    one = f"{here.gauges}/one"
    assert (await api.patch(one, {"spec": {"once": "set"}})).status == 200
    answer = await api.patch(one, {"spec": {"once": "again"}})
    assert answer.causes == [(INVALID, "spec.once", 'Invalid value: "again": once set it stays')]


async def test_items_of_a_map_list_are_compared_with_what_they_were_wherever_they_stand(
    api: Client, here: Places
) -> None:
    await api.post(here.gauges, gauge("one", {"rows": [{"name": "a", "count": 5}, {"name": "b", "count": 1}]}))
    one = f"{here.gauges}/one"
    moved = [{"name": "c", "count": 0}, {"name": "b", "count": 2}, {"name": "a", "count": 5}]
    assert (await api.patch(one, {"spec": {"rows": moved}})).status == 200
    less = [{"name": "b", "count": 2}, {"name": "a", "count": 4}]
    answer = await api.patch(one, {"spec": {"rows": less}})
    assert answer.causes == [(INVALID, "spec.rows[1].count", "Invalid value: 4: a row only grows")]


INFERENCE = "InferenceService"
VALUE_CACHE = (
    "expected f32, f16 or bf16 while flashAttention is off, found q8_0; a quantised V cache needs flash attention: "
    "set flashAttention to auto or on, or change cacheTypeV"
)


def causes_about(answer: Any, field: str) -> list[str]:
    return [message for _, where, message in answer.causes if where == field]


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"flashAttention": "off", "cacheTypeV": "q8_0"}, "spec.cacheTypeV", VALUE_CACHE),
        (
            {"ubatchSize": 4096},
            "spec.ubatchSize",
            "expected at most batchSize (2048 when not set), found 4096; lower ubatchSize or raise batchSize",
        ),
        (
            {"env": [{"name": "LLAMA_ARG_PORT", "value": "1"}]},
            "spec.env[0].name",
            (
                "expected a variable that sets no flag of llama-server, found LLAMA_ARG_PORT; use the field of the "
                "spec, extraArgs, or auth for API keys"
            ),
        ),
        (
            {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
            "spec.env[0].value",
            "expected value or valueFrom, found both; keep one",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {}}]},
            "spec.env[0].valueFrom",
            "expected exactly one of secretKeyRef, configMapKeyRef, fieldRef, resourceFieldRef, found 0; keep one",
        ),
    ],
)
async def test_an_inference_service_that_breaks_a_rule_is_refused_in_our_words(
    api: Client, here: Places, spec: Object, field: str, message: str
) -> None:
    answer = await api.post(here.inferenceservices, inference_service("one", **spec))
    assert (answer.status, causes_about(answer, field)) == (422, [f"Invalid value: {message}"])


async def test_a_rolling_update_belongs_to_its_type(api: Client, here: Places) -> None:
    strategy = {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}
    answer = await api.post(here.inferenceservices, inference_service("one", strategy=strategy))
    assert answer.status == 422
    assert any("expected no rollingUpdate unless type is RollingUpdate, found Recreate" in one for one in told(answer))


def told(answer: Any) -> list[str]:
    return [message for _, _, message in answer.causes]


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {"source": "ftp://models.example/a.gguf"},
            "spec.source",
            (
                "expected https://host/file, http://host/file, hf://org/repo/file.gguf, s3://bucket/key, oci://ref, "
                "pvc://claim/path or file:///path, found ftp://models.example/a.gguf; write the address with its "
                "scheme and without spaces"
            ),
        ),
        (
            {"source": "https://me:secret@models.example/a.gguf"},
            "spec.source",
            (
                "expected an address without user name or password, found one that carries them; put credentials in a "
                "Secret and name it in sourceSecretRef"
            ),
        ),
        (
            {"cache": {"mode": "PerModel", "claimName": "mine"}},
            "spec.cache.claimName",
            (
                "expected no claimName unless mode is Existing, found mine with mode PerModel; set mode to Existing, "
                "or remove claimName"
            ),
        ),
        (
            {"cache": {"mode": "Existing"}},
            "spec.cache.claimName",
            "expected a claimName with mode Existing, found none; name the PersistentVolumeClaim to use",
        ),
    ],
)
async def test_a_model_that_breaks_a_rule_is_refused_in_our_words(
    api: Client, here: Places, spec: Object, field: str, message: str
) -> None:
    answer = await api.post(here.models, model("one", **spec))
    assert (answer.status, causes_about(answer, field)) == (422, [f"Invalid value: {message}"])
