"""What holds of server-side apply whatever is applied by whom."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmkube.local.apiserver.apply import apply
from llmkube.local.apiserver.fieldsets import of_object
from llmkube.local.apiserver.managers import owners_of
from llmkube.local.apiserver.ownership import prefixes, track
from llmkube.local.apiserver.shapes import BuiltinShape
from llmkube.local.objects import Object, StatusError

BUILTIN = BuiltinShape()
VALUES = st.sampled_from([1, "x", {}, {"a": 1}, {"a": 2, "b": 3}, [], [1]])
PORTS = st.lists(
    st.fixed_dictionaries({"containerPort": st.integers(1, 2)}, optional={"protocol": st.just("TCP")}),
    max_size=2,
    unique_by=lambda port: port["containerPort"],
)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("xyz")}, optional={"resources": VALUES, "args": VALUES, "ports": PORTS}
    ),
    max_size=3,
    unique_by=lambda one: str(one["name"]),
)
METADATA = st.fixed_dictionaries(
    {"name": st.just("n")},
    optional={
        "labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")),
        "finalizers": st.lists(st.sampled_from("fg"), unique=True),
    },
)
SPEC = st.fixed_dictionaries({}, optional={"containers": CONTAINERS, "strategy": VALUES})
OBJECTS = st.builds(
    lambda metadata, spec: {"apiVersion": "v1", "kind": "T", "metadata": metadata, "spec": spec}, METADATA, SPEC
)
WRITES = st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(["apply", "force", "update"]), OBJECTS), max_size=5)


def written(live: Object | None, manager: str, how: str, obj: Object) -> Object | None:
    """The live object after a write; unchanged after one that conflicts."""
    if how == "update":
        return track(live, obj, BUILTIN, manager=manager, now="1")
    try:
        return apply(live, obj, BUILTIN, manager=manager, force=how == "force", now="1")
    except StatusError as error:
        if error.code != 409:
            raise
        return live


def after(writes: list[tuple[str, str, Object]]) -> Object | None:
    live: Object | None = None
    for manager, how, obj in writes:
        live = written(live, manager, how, obj)
    return live


@settings(deadline=None, max_examples=150)
@given(WRITES)
def test_whatever_is_owned_is_there(writes: list[tuple[str, str, Object]]) -> None:
    live = after(writes)
    fields = of_object(live or {}, BUILTIN)
    there = fields.keys() | prefixes(fields)
    assert [path for owned in owners_of(live).values() for path in owned.fields if path not in there] == []


@settings(deadline=None, max_examples=150)
@given(WRITES, OBJECTS)
def test_a_forced_apply_puts_every_value_there_and_doing_it_again_changes_nothing(
    writes: list[tuple[str, str, Object]], obj: Object
) -> None:
    live = after(writes)
    before = copy.deepcopy((live, obj))
    new = apply(live, obj, BUILTIN, manager="A", force=True, now="2")
    assert (live, obj) == before
    fields = of_object(new, BUILTIN)
    wanted: dict[Any, Any] = {path: value for path, value in of_object(obj, BUILTIN).items() if value not in ({}, [])}
    assert {path: fields.get(path) for path in wanted} == wanted
    if owners_of(new):
        assert apply(new, obj, BUILTIN, manager="A", force=False, now="3") == new
