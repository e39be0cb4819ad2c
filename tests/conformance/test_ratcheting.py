"""What was invalid before may stay as it is (KEP-4008): a definition that grows stricter locks nobody out."""

from __future__ import annotations

import pytest
from tests.conformance.evolving import Evolving
from tests.conformance.objects import Object

LOOSE: Object = {"type": "object", "properties": {}, "x-kubernetes-preserve-unknown-fields": True}
STRICT: Object = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "maximum": 5},
        "mode": {"type": "string", "enum": ["fast"]},
        "code": {
            "type": "string",
            "maxLength": 40,
            "x-kubernetes-validations": [{"rule": "self.startsWith('c')", "message": "begins with a c"}],
        },
        "must": {"type": "string"},
        "note": {"type": "string"},
    },
    "required": ["must"],
}


@pytest.fixture
async def stricter(evolving: Evolving) -> Evolving:
    await evolving.define_spec(LOOSE)
    await evolving.make({"size": 9, "mode": "slow", "code": "abc"})
    await evolving.define_spec(STRICT)
    await evolving.refuses({"size": 8})
    return evolving


async def test_what_was_invalid_before_may_stay(stricter: Evolving) -> None:
    assert (await stricter.api.patch(stricter.one, {"metadata": {"labels": {"a": "b"}}})).status == 200
    answer = await stricter.change({"must": "x", "note": "y"})
    assert answer.status == 200
    assert answer.body["spec"] == {"size": 9, "mode": "slow", "code": "abc", "must": "x", "note": "y"}


async def test_what_changes_must_be_valid(stricter: Evolving) -> None:
    answer = await stricter.change({"must": "x", "size": 8})
    why = "Invalid value: 8: spec.size in body should be less than or equal to 5"
    assert answer.causes == [("FieldValueInvalid", "spec.size", why)]
    answer = await stricter.change({"must": "x", "code": "other"})
    assert answer.causes == [("FieldValueInvalid", "spec.code", 'Invalid value: "other": begins with a c')]


async def test_what_is_needed_now_is_needed_with_the_next_change_of_its_object(stricter: Evolving) -> None:
    answer = await stricter.change({"note": "y"})
    assert ("FieldValueRequired", "spec.must", "Required value") in answer.causes
