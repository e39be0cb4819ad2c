"""fieldValidation: fields that nobody knows, and fields said twice, are refused, told or dropped; and the other options
of a write."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.client import Answer, Client
from tests.conformance.objects import Object, Places, config_map, widget

UNKNOWN = {"size": 4, "unknown": 1, "nested": {"must": "x", "other": {}}}
WARNINGS = ('unknown field "spec.nested.other"', 'unknown field "spec.unknown"')
TWICE = (
    b'{"apiVersion": "conformance.llmkube.dev/v1", "kind": "Widget", "metadata": {"name": "one"},'
    b' "spec": {"size": 4, "size": 5}}'
)


async def written(api: Client, here: Places, verb: str, spec: Object, **params: Any) -> Answer:
    if verb == "create":
        return await api.post(here.widgets, widget("one", spec), **params)
    made = await api.post(here.widgets, widget("one"))
    if verb == "update":
        return await api.put(f"{here.widgets}/one", {**made.body, "spec": spec}, **params)
    return await api.patch(f"{here.widgets}/one", {"spec": spec}, **params)


@pytest.mark.parametrize("verb", ["create", "update", "merge"])
@pytest.mark.parametrize("params", [{}, {"fieldValidation": "Warn"}])
async def test_unknown_fields_are_dropped_with_a_warning(api: Client, here: Places, verb: str, params: Object) -> None:
    answer = await written(api, here, verb, UNKNOWN, **params)
    assert answer.status == (201 if verb == "create" else 200)
    assert tuple(sorted(answer.warnings)) == WARNINGS
    assert answer.body["spec"] == {"size": 4, "nested": {"must": "x", "depth": 7}}


@pytest.mark.parametrize("verb", ["create", "update", "merge"])
async def test_unknown_fields_are_dropped_silently_when_they_are_ignored(api: Client, here: Places, verb: str) -> None:
    answer = await written(api, here, verb, UNKNOWN, fieldValidation="Ignore")
    assert answer.warnings == ()
    assert answer.body["spec"] == {"size": 4, "nested": {"must": "x", "depth": 7}}


@pytest.mark.parametrize("verb", ["create", "update"])
async def test_unknown_fields_are_refused_when_it_is_strict(api: Client, here: Places, verb: str) -> None:
    answer = await written(api, here, verb, UNKNOWN, fieldValidation="Strict")
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.message == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: '
        'unknown field "spec.nested.other", unknown field "spec.unknown"'
    )


async def test_a_strict_patch_that_brings_unknown_fields_is_invalid(api: Client, here: Places) -> None:
    answer = await written(api, here, "merge", UNKNOWN, fieldValidation="Strict")
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert [(reason, field) for reason, field, _ in answer.causes] == [("FieldValueInvalid", "patch")]
    told = 'strict decoding error: unknown field "spec.nested.other", unknown field "spec.unknown"'
    assert answer.message.endswith(told)
    assert (await api.get(f"{here.widgets}/one")).body["spec"] == {"size": 3}


async def test_a_field_of_the_root_that_nobody_knows_is_told_too(api: Client, here: Places) -> None:
    answer = await api.post(here.widgets, {**widget("one"), "spce": {}})
    assert answer.warnings == ('unknown field "spce"',)
    assert "spce" not in answer.body


async def test_a_field_of_the_metadata_that_nobody_knows_is_told_too(api: Client, here: Places) -> None:
    answer = await api.post(here.widgets, widget("one", colour="red"))
    assert answer.warnings == ('unknown field "metadata.colour"',)
    assert "colour" not in answer.meta


async def test_a_field_said_twice_is_told_and_the_last_one_counts(api: Client, here: Places) -> None:
    answer = await api.post(here.widgets, TWICE)
    assert (answer.status, answer.body["spec"]) == (201, {"size": 5})
    assert answer.warnings == ('duplicate field "spec.size"',)


async def test_a_field_said_twice_is_refused_when_it_is_strict(api: Client, here: Places) -> None:
    answer = await api.post(here.widgets, TWICE, fieldValidation="Strict")
    assert answer.status == 400
    assert answer.message.endswith('strict decoding error: duplicate field "spec.size"')
    assert (await api.post(here.widgets, TWICE, fieldValidation="Ignore")).warnings == ()


async def test_a_field_said_twice_in_a_built_in_object_is_told(api: Client, here: Places) -> None:
    body = b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "1", "a": "2"}}'
    answer = await api.post(here.configmaps, body)
    assert answer.warnings == ('duplicate field "data.a"',)
    refused = await api.put(f"{here.configmaps}/one", body, fieldValidation="Strict")
    assert refused.message.endswith('strict decoding error: duplicate field "data.a"')


@pytest.mark.parametrize(
    ("params", "cause"),
    [
        (
            {"fieldValidation": "Maybe"},
            (
                "FieldValueNotSupported",
                "fieldValidation",
                'Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"',
            ),
        ),
        (
            {"dryRun": "Some"},
            ("FieldValueNotSupported", "dryRun", 'Unsupported value: ["Some"]: supported values: "All"'),
        ),
        (
            {"fieldManager": "x" * 129},
            ("FieldValueTooLong", "fieldManager", "Too long: may not be more than 128 bytes"),
        ),
        (
            {"fieldManager": "a\tb"},
            ("FieldValueInvalid", "fieldManager", 'Invalid value: "a\\tb": invalid character U+0009 (at position 1)'),
        ),
    ],
)
async def test_options_of_a_write_that_are_none_are_invalid(
    api: Client, here: Places, params: Object, cause: tuple[str, str, str]
) -> None:
    answer = await api.post(here.configmaps, config_map("one"), **params)
    assert (answer.status, answer.causes) == (422, [cause])
    assert answer.message == f'CreateOptions.meta.k8s.io "" is invalid: {cause[1]}: {cause[2]}'


async def test_a_dry_run_of_a_create_an_update_and_a_delete_changes_nothing(api: Client, here: Places) -> None:
    assert (await api.post(here.configmaps, config_map("none"), dryRun="All")).status == 201
    assert (await api.get(f"{here.configmaps}/none")).status == 404
    made = await api.post(here.configmaps, config_map("one", {"a": "1"}))
    changed = await api.put(f"{here.configmaps}/one", config_map("one", {"a": "2"}), dryRun="All")
    assert (changed.status, changed.body["data"]) == (200, {"a": "2"})
    assert (await api.delete(f"{here.configmaps}/one", dryRun="All")).status == 200
    assert (await api.get(f"{here.configmaps}/one")).body == made.body
