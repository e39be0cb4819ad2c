"""What a schema demands of a custom object, and how each thing that is wrong is told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.client import Client
from tests.conformance.gauges import gauge
from tests.conformance.objects import Object, Places

INVALID, TYPE, REQUIRED = "FieldValueInvalid", "FieldValueTypeInvalid", "FieldValueRequired"
TOO_LONG, TOO_MANY, UNSUPPORTED = "FieldValueTooLong", "FieldValueTooMany", "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"
# Rules are asked only about values whose shape is right; this says that they were not.
NOT_CHECKED = (
    INVALID,
    "<nil>",
    (
        "Invalid value: null: some validation rules were not checked because the object was invalid; "
        "correct the existing errors to complete validation"
    ),
)


def wrong_type(value: str, expected: str, field: str) -> tuple[str, str, str]:
    return TYPE, field, f'Invalid value: "{value}": {field} in body must be of type {expected}: "{value}"'


def invalid(field: str, value: Any, why: str) -> tuple[str, str, str]:
    return INVALID, field, f"Invalid value: {value}: {field} in body {why}"


async def test_what_is_wrong_is_told_as_a_status_that_names_the_kind_and_the_object(api: Client, here: Places) -> None:
    answer = await api.post(here.gauges, gauge("one", {"count": 0}))
    why = "Invalid value: 0: spec.count in body should be greater than or equal to 1"
    assert answer.status == 422
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'Gauge.conformance.llmkube.dev "one" is invalid: spec.count: {why}',
        "reason": "Invalid",
        "details": {
            "name": "one",
            "group": "conformance.llmkube.dev",
            "kind": "Gauge",
            "causes": [{"reason": "FieldValueInvalid", "message": why, "field": "spec.count"}],
        },
        "code": 422,
    }


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({"count": 0}, invalid("spec.count", 0, "should be greater than or equal to 1")),
        ({"count": 11}, invalid("spec.count", 11, "should be less than or equal to 10")),
        ({"above": 0}, invalid("spec.above", 0, "should be greater than 0")),
        ({"above": 1.5}, invalid("spec.above", 1.5, "should be less than 1")),
        ({"step": 7}, invalid("spec.step", 7, "should be a multiple of 5")),
        ({"code": "a"}, invalid("spec.code", '"a"', "should be at least 2 chars long")),
        ({"code": "AB"}, invalid("spec.code", '"AB"', "should match '^[a-z]+$'")),
        ({"steps": []}, invalid("spec.steps", 0, "should have at least 1 items")),
        ({"labels": {}}, invalid("spec.labels", 0, "should have at least 1 properties")),
        ({"tags": ["a", "b", "a"]}, (DUPLICATE, "spec.tags[2]", 'Duplicate value: "a"')),
        (
            {"rows": [{"name": "a"}, {"name": "b"}, {"name": "a"}]},
            (DUPLICATE, "spec.rows[2]", 'Duplicate value: {"name":"a"}'),
        ),
        (
            {"nested": {"must": "x", "too": {"deep": 8}}},
            invalid("spec.nested.too.deep", 8, "should be less than or equal to 7"),
        ),
        (
            {"rows": [{"name": "a"}, {"name": "b", "width": 1}]},
            invalid("spec.rows[1].width", 1, "should be greater than or equal to 2"),
        ),
    ],
)
async def test_a_value_that_its_schema_does_not_allow_is_invalid(
    api: Client, here: Places, spec: Object, cause: tuple[str, str, str]
) -> None:
    answer = await api.post(here.gauges, gauge("one", spec))
    assert (answer.status, answer.causes) == (422, [cause])


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({"count": "3"}, wrong_type("string", "integer", "spec.count")),
        ({"count": True}, wrong_type("boolean", "integer", "spec.count")),
        ({"above": "much"}, wrong_type("string", "number", "spec.above")),
        ({"code": 7}, wrong_type("integer", "string", "spec.code")),
        ({"on": "yes"}, wrong_type("string", "boolean", "spec.on")),
        ({"port": True}, wrong_type("boolean", "integer,string", "spec.port")),
        ({"port": 1.5}, wrong_type("number", "integer,string", "spec.port")),
        ({"tags": "a"}, wrong_type("string", "array", "spec.tags")),
        ({"tags": ["a", 1]}, wrong_type("integer", "string", "spec.tags[1]")),
        ({"labels": ["a"]}, wrong_type("array", "object", "spec.labels")),
        ({"labels": {"a": 1}}, wrong_type("integer", "string", "spec.labels.a")),
        ({"tags": [None]}, wrong_type("null", "string", "spec.tags[0]")),
        (
            {"when": "noon"},
            (TYPE, "spec.when", 'Invalid value: "noon": spec.when in body must be of type date-time: "noon"'),
        ),
        (
            {"mode": "medium"},
            (UNSUPPORTED, "spec.mode", 'Unsupported value: "medium": supported values: "fast", "slow"'),
        ),
        ({"level": 4}, (UNSUPPORTED, "spec.level", 'Unsupported value: 4: supported values: "1", "2", "3"')),
        ({"code": "abcde"}, (TOO_LONG, "spec.code", "Too long: may not be more than 4 bytes")),
        ({"tags": ["a", "b", "c", "d"]}, (TOO_MANY, "spec.tags", "Too many: 4: must have at most 3 items")),
        ({"labels": {"a": "", "b": "", "c": ""}}, (TOO_MANY, "spec.labels", "Too many: 3: must have at most 2 items")),
        ({"nested": {"too": {}}}, (REQUIRED, "spec.nested.must", "Required value")),
        ({"rows": [{"width": 2}]}, (REQUIRED, "spec.rows[0].name", "Required value")),
    ],
)
async def test_where_the_shape_is_wrong_rules_are_not_asked(
    api: Client, here: Places, spec: Object, cause: tuple[str, str, str]
) -> None:
    answer = await api.post(here.gauges, gauge("one", spec))
    assert (answer.status, answer.causes) == (422, sorted([cause, NOT_CHECKED]))


async def test_a_spec_that_is_no_object_or_not_there_is_told(api: Client, here: Places) -> None:
    text = await api.post(here.gauges, gauge("one", "text"))
    assert text.causes == sorted([wrong_type("string", "object", "spec"), NOT_CHECKED])
    none = gauge("one")
    del none["spec"]
    assert (await api.post(here.gauges, none)).causes == sorted([(REQUIRED, "spec", "Required value"), NOT_CHECKED])


async def test_everything_that_is_wrong_is_told_at_once(api: Client, here: Places) -> None:
    spec = {"count": 0, "code": "A", "mode": "medium", "nested": {}, "on": 1}
    answer = await api.post(here.gauges, gauge("one", spec))
    assert [field for _, field, _ in answer.causes] == [
        "<nil>",
        "spec.code",
        "spec.count",
        "spec.mode",
        "spec.nested.must",
        "spec.nested.too",
        "spec.on",
    ]
    assert answer.message.startswith('Gauge.conformance.llmkube.dev "one" is invalid: [')


@pytest.mark.parametrize(
    "spec",
    [
        {"count": 3.0},
        {"above": 0.5},
        {"step": 10, "level": 2, "mode": "slow", "on": False},
        {"code": "abcd"},
        {"when": "2001-01-01T00:00:00Z"},
        {"port": 80},
        {"port": "http"},
        {"note": None},
        {"tags": [], "labels": {"a": "b"}},
        {"rows": [{"name": "a", "count": 1}, {"name": "b"}]},
        {"either": {"a": 1}},
    ],
)
async def test_what_fits_is_taken(api: Client, here: Places, spec: Object) -> None:
    answer = await api.post(here.gauges, gauge("one", spec))
    assert (answer.status, answer.body.get("spec")) == (201, spec)


@pytest.mark.parametrize(
    ("either", "found"), [({}, "Found none valid"), ({"a": 1, "b": 1}, "Found 2 valid alternatives")]
)
async def test_one_of_two_is_one_of_two(api: Client, here: Places, either: Object, found: str) -> None:
    answer = await api.post(here.gauges, gauge("one", {"either": either}))
    assert answer.status == 422
    why = f'Invalid value: "": "spec.either" must validate one and only one schema (oneOf). {found}'
    assert (INVALID, "<nil>", why) in answer.causes


@pytest.mark.parametrize(
    ("some", "why"),
    [
        ("c", '"spec.some" must validate at least one schema (anyOf)'),
        ("az", '"spec.some" must not validate the schema (not)'),
    ],
)
async def test_one_schema_of_several_and_one_that_must_not_fit(api: Client, here: Places, some: str, why: str) -> None:
    answer = await api.post(here.gauges, gauge("one", {"some": some}))
    assert answer.status == 422
    assert (INVALID, "<nil>", f'Invalid value: "": {why}') in answer.causes


@pytest.mark.parametrize(
    ("spec", "expected", "type_is_wrong"),
    [
        ({"rows": [{"name": "a", "count": 2.5}]}, "integer (default format) in spec.rows[0].count", True),
        ({"small": 2**31}, "integer with format int32 in spec.small", False),
    ],
)
async def test_a_number_that_its_format_cannot_hold_is_told(
    api: Client, here: Places, spec: Object, expected: str, type_is_wrong: bool, minor: int
) -> None:
    answer = await api.post(here.gauges, gauge("one", spec))
    told = [(INVALID, "<nil>", f'Invalid value: "": Checked value must be of type {expected}')] if minor >= 36 else []
    shape = [wrong_type("number", "integer", "spec.rows[0].count"), NOT_CHECKED] if type_is_wrong else []
    causes = sorted([*told, *shape])
    assert (answer.status, answer.causes) == (422 if causes else 201, causes)


async def test_lengths_are_counted_in_characters(api: Client, here: Places) -> None:
    assert (await api.post(here.gauges, gauge("one", {"steps": ["äöü"]}))).status == 201
    assert (await api.post(here.gauges, gauge("two", {"steps": ["äöüß"]}))).status == 422


async def test_a_patch_and_an_update_are_held_to_the_schema_too(api: Client, here: Places) -> None:
    made = await api.post(here.gauges, gauge("one", {"count": 3}))
    cause = invalid("spec.count", 0, "should be greater than or equal to 1")
    for answer in (
        await api.patch(f"{here.gauges}/one", {"spec": {"count": 0}}),
        await api.patch(f"{here.gauges}/one", [{"op": "replace", "path": "/spec/count", "value": 0}], "json"),
        await api.apply(f"{here.gauges}/one", gauge("one", {"count": 0}), force=True),
        await api.put(f"{here.gauges}/one", {**made.body, "spec": {"count": 0}}),
    ):
        assert (answer.status, answer.causes) == (422, [cause])
    assert (await api.get(f"{here.gauges}/one")).body == made.body
