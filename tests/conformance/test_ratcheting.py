"""What was invalid before may stay as it is (KEP-4008): a definition that grows stricter locks nobody out."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.conformance.client import Client
from tests.conformance.objects import DEFINITIONS, Object

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


class Stricter:
    """A definition of its own, with one object that its later schema does not allow."""

    def __init__(self, api: Client) -> None:
        self.api, self.plural = api, f"rigs{secrets.token_hex(3)}"
        self.group = "ratchet.llmkube.dev"
        self.definition = f"{DEFINITIONS}/{self.plural}.{self.group}"
        self.one = f"/apis/{self.group}/v1/{self.plural}/one"

    def _definition(self, spec: Object) -> Object:
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        names = {"plural": self.plural, "kind": self.plural.capitalize()}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{self.group}"},
            "spec": {"group": self.group, "scope": "Cluster", "names": names, "versions": [version]},
        }

    async def define(self, spec: Object) -> None:
        answer = await self.api.apply(self.definition, self._definition(spec), force=True)
        assert answer.status in {200, 201}, answer.body

    async def make(self, spec: Object) -> None:
        collection = self.one.removesuffix("/one")
        await self.api.until(collection, lambda found: found.status == 200)
        body = {"apiVersion": f"{self.group}/v1", "kind": self.plural.capitalize(), "metadata": {"name": "one"}}
        answer = await self.api.post(collection, {**body, "spec": spec})
        assert answer.status == 201, answer.body

    async def change(self, patch: Object) -> Any:
        return await self.api.patch(self.one, patch)

    async def until_strict(self) -> None:
        """Until the server holds to the stricter schema."""
        for _ in range(200):
            if (await self.api.patch(self.one, {"spec": {"size": 8}}, dryRun="All")).status == 422:
                return
        raise AssertionError("the stricter schema is not in force")


@pytest.fixture
async def stricter(api: Client) -> AsyncIterator[Stricter]:
    found = Stricter(api)
    await found.define(LOOSE)
    await found.make({"size": 9, "mode": "slow", "code": "abc"})
    await found.define(STRICT)
    await found.until_strict()
    yield found
    await api.delete(found.definition)


async def test_what_was_invalid_before_may_stay(stricter: Stricter) -> None:
    assert (await stricter.change({"metadata": {"labels": {"a": "b"}}})).status == 200
    answer = await stricter.change({"spec": {"must": "x", "note": "y"}})
    assert answer.status == 200
    assert answer.body["spec"] == {"size": 9, "mode": "slow", "code": "abc", "must": "x", "note": "y"}


async def test_what_changes_must_be_valid(stricter: Stricter) -> None:
    answer = await stricter.change({"spec": {"must": "x", "size": 8}})
    why = "Invalid value: 8: spec.size in body should be less than or equal to 5"
    assert answer.causes == [("FieldValueInvalid", "spec.size", why)]
    answer = await stricter.change({"spec": {"must": "x", "code": "other"}})
    assert answer.causes == [("FieldValueInvalid", "spec.code", 'Invalid value: "other": begins with a c')]


async def test_what_is_needed_now_is_needed_with_the_next_change_of_its_object(stricter: Stricter) -> None:
    answer = await stricter.change({"spec": {"note": "y"}})
    assert ("FieldValueRequired", "spec.must", "Required value") in answer.causes
