"""What is kept of an object: only what somebody reads, and nothing that anybody could change."""

from __future__ import annotations

import inspect
import json

import msgspec
import pytest

from llmkube.kube import objects
from llmkube.kube.objects import LAST_APPLIED, Deployment, ObjectMeta

KEPT = [each for _, each in inspect.getmembers(objects, inspect.isclass) if issubclass(each, msgspec.Struct)]


@pytest.mark.parametrize("kind", [each for each in KEPT if each.__module__ == objects.__name__])
def test_nothing_that_is_kept_can_be_changed_or_is_looked_through_for_cycles(kind: type[msgspec.Struct]) -> None:
    assert (kind.__struct_config__.frozen, kind.__struct_config__.gc) == (True, False)
    assert not [name for name, hint in kind.__annotations__.items() if hint.startswith(("list", "dict", "set"))]


def test_managed_fields_and_what_kubectl_applied_last_are_never_kept() -> None:
    large = "x" * 10_000
    metadata = {"name": "a", "managedFields": [{"manager": large}], "annotations": {LAST_APPLIED: large, "a": "b"}}
    kept = msgspec.json.decode(json.dumps({"metadata": metadata}), type=Deployment)
    assert kept.metadata == ObjectMeta(name="a", annotations={"a": "b"})
    assert large.encode() not in msgspec.json.encode(kept)
