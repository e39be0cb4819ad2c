"""What a schema fills in and what it throws away: on a write, and on a read of what was written before it changed."""

from __future__ import annotations

import pytest
from tests.conformance.client import Client
from tests.conformance.evolving import Evolving
from tests.conformance.objects import Object, Places, inference_service, model, widget

TEXT: Object = {"type": "string"}
SIZE: Object = {"type": "integer", "default": 3}
OPEN: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


async def test_what_is_left_out_gets_its_default_on_a_create_an_apply_and_an_update(api: Client, here: Places) -> None:
    made = await api.post(here.widgets, widget("one", {"nested": {"must": "x"}, "parts": [{"name": "a"}]}))
    filled = {"size": 3, "nested": {"must": "x", "depth": 7}, "parts": [{"name": "a", "count": 1}]}
    assert made.body["spec"] == filled
    applied = await api.apply(f"{here.widgets}/two", widget("two", {"nested": {"must": "x"}}))
    assert applied.body["spec"] == {"size": 3, "nested": {"must": "x", "depth": 7}}
    updated = await api.put(f"{here.widgets}/one", {**made.body, "spec": {"ratio": 1.5}})
    assert updated.body["spec"] == {"size": 3, "ratio": 1.5}
    taken = await api.patch(f"{here.widgets}/one", {"spec": {"size": None, "ratio": None}})
    assert taken.body["spec"] == {"size": 3}


async def test_nobody_owns_a_default(api: Client, here: Places) -> None:
    applied = await api.apply(f"{here.widgets}/one", widget("one", {"on": True}))
    (entry,) = applied.meta["managedFields"]
    assert entry["fieldsV1"] == {"f:spec": {"f:on": {}}}
    other = await api.apply(f"{here.widgets}/one", widget("one", {"size": 5}), "beta")
    assert (other.status, other.body["spec"]) == (200, {"on": True, "size": 5})


async def test_a_default_goes_no_deeper_than_what_is_there(evolving: Evolving) -> None:
    inner = {"type": "object", "properties": {"size": SIZE}}
    await evolving.define(outer=inner, other={**inner, "default": {}}, filled={**inner, "default": {"size": 9}})
    assert await evolving.make({}) == {"other": {"size": 3}, "filled": {"size": 9}}
    changed = await evolving.change({"outer": {}, "filled": {"size": None}})
    assert changed.body["spec"] == {"outer": {"size": 3}, "other": {"size": 3}, "filled": {"size": 3}}


async def test_items_and_values_of_a_map_get_the_defaults_of_their_fields(evolving: Evolving) -> None:
    each = {"type": "object", "properties": {"size": SIZE}}
    await evolving.define(
        items={"type": "array", "items": each}, named={"type": "object", "additionalProperties": each}
    )
    made = await evolving.make({"items": [{}, {"size": 1}], "named": {"a": {}}})
    assert made == {"items": [{"size": 3}, {"size": 1}], "named": {"a": {"size": 3}}}


async def test_a_null_is_a_value_only_where_it_may_be_one(evolving: Evolving) -> None:
    await evolving.define(
        plain=TEXT,
        filled={**TEXT, "default": "x"},
        nullable={**TEXT, "nullable": True},
        both={**TEXT, "nullable": True, "default": "x"},
        open=OPEN,
    )
    made = await evolving.make({"plain": None, "filled": None, "nullable": None, "both": None, "open": {"a": None}})
    assert made == {"filled": "x", "nullable": None, "both": None, "open": {"a": None}}


async def test_what_the_schema_does_not_know_is_pruned_at_every_depth(evolving: Evolving) -> None:
    inner = {"type": "object", "properties": {"a": TEXT}}
    await evolving.define(one=inner, items={"type": "array", "items": inner}, names={"type": "object"}, text=TEXT)
    unknown = {"a": "1", "b": "2"}
    made = await evolving.make({"one": unknown, "items": [unknown], "names": unknown, "text": "t", "more": {}})
    assert made == {"one": {"a": "1"}, "items": [{"a": "1"}], "names": {}, "text": "t"}


async def test_where_unknown_fields_are_kept_what_is_known_is_still_held_to_its_schema(evolving: Evolving) -> None:
    known = {"known": {"type": "object", "properties": {"a": TEXT, "size": SIZE}}}
    await evolving.define(open={**OPEN, "properties": known})
    made = await evolving.make({"open": {"any": {"deep": [1, {"x": None}]}, "known": {"a": "1", "b": "2"}}})
    assert made == {"open": {"any": {"deep": [1, {"x": None}]}, "known": {"a": "1", "size": 3}}}
    refused = await evolving.change({"open": {"known": {"a": 1}}})
    assert [field for _, field, _ in refused.causes] == ["spec.open.known.a"]


async def test_a_default_that_comes_later_is_there_on_a_read_of_what_was_before(evolving: Evolving) -> None:
    await evolving.define(a=TEXT)
    await evolving.make({"a": "1"})
    before = await evolving.api.get(evolving.one)
    await evolving.define(a=TEXT, size=SIZE)
    found = await evolving.comes_to(lambda spec: "size" in spec)
    assert found.body == {**before.body, "spec": {"a": "1", "size": 3}}
    listed = await evolving.api.until(evolving.collection, lambda found: found.status == 200)
    assert [one["spec"] for one in listed.body["items"]] == [{"a": "1", "size": 3}]


async def test_a_field_that_is_no_longer_known_is_gone_on_a_read(evolving: Evolving) -> None:
    await evolving.define(a=TEXT, b=TEXT)
    await evolving.make({"a": "1", "b": "2"})
    await evolving.define(a=TEXT)
    found = await evolving.comes_to(lambda spec: "b" not in spec)
    assert found.body["spec"] == {"a": "1"}


async def test_an_object_in_an_object_keeps_its_own_kind_and_metadata(evolving: Evolving) -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"data": TEXT}}
    await evolving.define(template=inner)
    whole = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x", "colour": "red"}, "data": "1", "other": 2}
    kept = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}, "data": "1"}
    assert await evolving.make({"template": whole}) == {"template": kept}


async def test_our_own_definitions_fill_in_what_the_operator_reads(api: Client, here: Places) -> None:
    made = await api.post(here.models, model("tiny"))
    assert made.body["spec"]["format"] == "gguf"
    assert made.body["spec"]["cache"]["mode"] == "PerModel"
    service = (await api.post(here.inferenceservices, inference_service("one"))).body["spec"]
    assert service["replicas"] == 1


@pytest.mark.parametrize("verb", ["merge", "json"])
async def test_a_patch_sees_the_defaults(api: Client, here: Places, verb: str) -> None:
    await api.post(here.widgets, widget("one"))
    patches = {"merge": {"spec": {"on": True}}, "json": [{"op": "test", "path": "/spec/size", "value": 3}]}
    assert (await api.patch(f"{here.widgets}/one", patches[verb], verb)).status == 200
