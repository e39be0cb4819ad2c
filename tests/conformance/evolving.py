"""A definition of the test's own, which changes while objects of it are there."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from tests.conformance.client import Answer, Client
from tests.conformance.objects import DEFINITIONS, Object


class Evolving:
    """One cluster-scoped kind; its spec's schema is given, and given again."""

    group = "evolving.llmkube.dev"

    def __init__(self, api: Client) -> None:
        self.api, self.plural = api, f"rigs{secrets.token_hex(3)}"
        self.kind = self.plural.capitalize()
        self.definition = f"{DEFINITIONS}/{self.plural}.{self.group}"
        self.collection = f"/apis/{self.group}/v1/{self.plural}"
        self.one = f"{self.collection}/one"

    def _definition(self, spec: Object) -> Object:
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{self.group}"},
            "spec": {
                "group": self.group,
                "scope": "Cluster",
                "names": {"plural": self.plural, "kind": self.kind},
                "versions": [version],
            },
        }

    async def define(self, **properties: Any) -> None:
        """The fields of the spec; what is not among them is pruned."""
        await self.define_spec({"type": "object", "properties": properties})

    async def define_spec(self, spec: Object) -> None:
        answer = await self.api.apply(self.definition, self._definition(spec), force=True)
        assert answer.status in {200, 201}, answer.body
        await self.api.until(self.collection, lambda found: found.status == 200)

    def body(self, spec: Object, name: str = "one") -> Object:
        meta = {"name": name}
        return {"apiVersion": f"{self.group}/v1", "kind": self.kind, "metadata": meta, "spec": spec}

    async def make(self, spec: Object) -> Any:
        """The spec as it is made of this one."""
        answer = await self.api.post(self.collection, self.body(spec))
        assert answer.status == 201, answer.body
        return answer.body.get("spec")

    async def change(self, spec: Object, **params: Any) -> Answer:
        return await self.api.patch(self.one, {"spec": spec}, **params)

    async def comes_to(self, holds: Callable[[Object], bool]) -> Answer:
        """The object, once a definition that was changed is in force."""
        return await self.api.until(self.one, lambda found: holds(found.body["spec"]))

    async def refuses(self, spec: Object) -> None:
        """Until the definition in force does not allow this change."""
        for _ in range(200):
            if (await self.change(spec, dryRun="All")).status == 422:
                return
        raise AssertionError(f"{spec} is still allowed")
