"""JSON patches, merge patches and strategic merge patches, directive by directive."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llmkube.local.apiserver.patches import patched
from llmkube.local.apiserver.shapes import BuiltinShape, SchemaShape
from llmkube.local.objects import Object, StatusError

BUILTIN = BuiltinShape()


def json_patched(obj: Object, *operations: Object) -> Object:
    return patched(obj, list(operations), "json", BUILTIN)


def strategic(obj: Object, body: Object) -> Object:
    return patched(obj, body, "strategic", BUILTIN)


def pod(*containers: Object, **spec: Any) -> Object:
    return {"spec": {"containers": list(containers), **spec}}


def names(obj: Object) -> list[str]:
    return [one["name"] for one in obj["spec"]["containers"]]


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ({"op": "add", "path": "/b", "value": {"c": None}}, {"a": [1, 2], "b": {"c": None}}),
        ({"op": "add", "path": "/a", "value": 1}, {"a": 1}),
        ({"op": "add", "path": "/a/1", "value": 9}, {"a": [1, 9, 2]}),
        ({"op": "add", "path": "/a/-", "value": 9}, {"a": [1, 2, 9]}),
        ({"op": "add", "path": "", "value": {"z": 1}}, {"z": 1}),
        ({"op": "replace", "path": "/a/0", "value": 9}, {"a": [9, 2]}),
        ({"op": "remove", "path": "/a/0"}, {"a": [2]}),
        ({"op": "move", "from": "/a/0", "path": "/b"}, {"a": [2], "b": 1}),
        ({"op": "move", "from": "/a", "path": "/a"}, {"a": [1, 2]}),
        ({"op": "copy", "from": "/a", "path": "/x~1y~0z"}, {"a": [1, 2], "x/y~z": [1, 2]}),
        ({"op": "test", "path": "/a", "value": [1.0, 2]}, {"a": [1, 2]}),
    ],
)
def test_a_json_patch_operation_does_what_rfc_6902_says(operation: Object, after: Object) -> None:
    assert json_patched({"a": [1, 2]}, operation) == after


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ({"op": "remove", "path": "/b"}, 'remove operation does not apply: doc is missing path: "/b": missing value'),
        ({"op": "replace", "path": "/b/c", "value": 1}, 'doc is missing path: "/b/c"'),
        ({"op": "increment", "path": "/a"}, "Unexpected kind: increment"),
        ({"op": "add", "path": "/b/c", "value": 1}, 'doc is missing path: "/b/c"'),
        ({"op": "add", "path": "/a/3", "value": 1}, "invalid index '3': the list has 2 items"),
        ({"op": "add", "path": "/a/01", "value": 1}, "invalid index"),
        ({"op": "remove", "path": "/a/-"}, "invalid index"),
        ({"op": "remove", "path": "/a/0/x"}, "missing value"),
        ({"op": "remove", "path": ""}, "the whole object cannot be removed"),
        ({"op": "move", "from": "/a", "path": "/a/0"}, "cannot be moved into itself"),
        ({"op": "test", "path": "/a/0", "value": True}, "testing value /a/0 failed: test failed"),
    ],
)
def test_a_json_patch_that_does_not_fit_is_unprocessable(operation: Object, told: str) -> None:
    with pytest.raises(StatusError) as caught:
        json_patched({"a": [1, 2]}, operation)
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert told in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        {"op": "remove"},
        [1],
        [{"op": ["add"], "path": "/a"}],
        [{"op": "add", "path": "/a"}],
        [{"op": "remove", "path": "a"}],
        [{"op": "remove", "path": 7}],
        [{"op": "remove", "path": "/a" * 1000}],
    ],
)
def test_a_malformed_json_patch_is_a_bad_request(body: Any) -> None:
    with pytest.raises(StatusError) as caught:
        patched({"a": 1}, body, "json", BUILTIN)
    assert caught.value.code == 400


def test_a_json_patch_that_fails_midway_changes_nothing() -> None:
    obj: Object = {"a": {"b": 1}}
    with pytest.raises(StatusError):
        json_patched(obj, {"op": "replace", "path": "/a/b", "value": 2}, {"op": "remove", "path": "/x"})
    assert obj == {"a": {"b": 1}}


def test_a_copy_is_not_changed_with_what_it_was_copied_from() -> None:
    copied = {"op": "copy", "from": "/a", "path": "/c"}
    after = json_patched({"a": {"b": 1}}, copied, {"op": "replace", "path": "/a/b", "value": 2})
    assert after == {"a": {"b": 2}, "c": {"b": 1}}


def test_too_many_operations_are_too_large() -> None:
    with pytest.raises(StatusError) as caught:
        json_patched({"a": 1}, *([{"op": "test", "path": "/a", "value": 1}] * 10_001))
    assert caught.value.code == 413
    assert "maximum operations in a JSON patch is 10000, got 10001" in caught.value.message


def test_copies_cannot_double_an_object_without_end() -> None:
    doubling = [{"op": "copy", "from": "/a", "path": f"/a/{at}"} for at in range(60)]
    with pytest.raises(StatusError) as caught:
        json_patched({"a": {}}, *doubling)
    assert "accumulated size" in caught.value.message


def test_moves_cannot_nest_an_object_without_end() -> None:
    wrap: list[Object] = [
        {"op": "add", "path": "/y", "value": {}},
        {"op": "move", "from": "/x", "path": "/y/z"},
        {"op": "move", "from": "/y", "path": "/x"},
    ]
    with pytest.raises(StatusError) as caught:
        json_patched({"x": 1}, *(wrap * 3000))
    assert (caught.value.code, "levels deep" in caught.value.message) == (400, True)


@pytest.mark.parametrize(
    ("before", "body", "after"),
    [
        ({"a": 1, "b": 2}, {"a": None, "c": 3}, {"b": 2, "c": 3}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": [1]}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({"a": {"b": 1}}, {"a": 1}, {"a": 1}),
    ],
)
def test_a_merge_patch_merges_as_rfc_7396_says(before: Object, body: Object, after: Object) -> None:
    assert patched(before, body, "merge", BUILTIN) == after


@pytest.mark.parametrize("kind", ["merge", "strategic"])
def test_a_merge_patch_must_be_an_object(kind: Any) -> None:
    with pytest.raises(StatusError) as caught:
        patched({"a": 1}, [1], kind, BUILTIN)
    assert caught.value.code == 400


def test_a_patch_must_leave_an_object() -> None:
    with pytest.raises(StatusError) as caught:
        json_patched({"a": 1}, {"op": "replace", "path": "", "value": [1]})
    assert caught.value.code == 422


def test_a_strategic_patch_of_a_custom_resource_is_not_supported() -> None:
    with pytest.raises(StatusError) as caught:
        patched({"a": 1}, {"a": 2}, "strategic", SchemaShape({}, is_root=True))
    assert caught.value.code == 415


def test_a_strategic_patch_merges_items_by_name_and_adds_new_ones_last() -> None:
    before = pod({"name": "x", "image": "i", "tty": True}, {"name": "y"})
    body = pod({"name": "n", "image": "new", "tty": None}, {"name": "x", "image": "j", "tty": None})
    assert strategic(before, body) == pod({"name": "x", "image": "j"}, {"name": "y"}, {"name": "n", "image": "new"})


def test_a_strategic_patch_leaves_its_inputs_as_they_are() -> None:
    before, body = pod({"name": "x", "image": "i"}), pod({"name": "x", "$patch": "delete"}, {"name": "y"})
    was = copy.deepcopy((before, body))
    strategic(before, body)
    assert (before, body) == was


def test_ports_merge_by_their_number() -> None:
    before = {"spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 1}, {"port": 81}]}}
    after = strategic(before, {"spec": {"ports": [{"port": 80, "targetPort": 2}]}})
    assert after["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 2}, {"port": 81}]


def test_a_list_without_a_merge_key_is_replaced() -> None:
    after = strategic(pod({"name": "x", "args": ["a"]}, tolerations=[1]), pod({"name": "x", "args": ["b"]}))
    assert after == pod({"name": "x", "args": ["b"]}, tolerations=[1])


def test_an_item_is_deleted_by_directive() -> None:
    after = strategic(pod({"name": "x"}, {"name": "y"}), pod({"name": "x", "$patch": "delete"}))
    assert after == pod({"name": "y"})


def test_a_list_is_replaced_by_directive() -> None:
    after = strategic(pod({"name": "x"}, {"name": "y"}), pod({"$patch": "replace"}, {"name": "z"}))
    assert after == pod({"name": "z"})


@pytest.mark.parametrize(
    ("body", "after"),
    [
        ({"a": {"$patch": "replace", "c": 1}}, {"a": {"c": 1}}),
        ({"a": {"$patch": "delete"}}, {"a": {}}),
        ({"a": {"$patch": "merge", "c": 1}}, {"a": {"b": 1, "c": 1}}),
        ({"$patch": "replace", "c": 1}, {"c": 1}),
    ],
)
def test_a_map_obeys_its_directive(body: Object, after: Object) -> None:
    assert strategic({"a": {"b": 1}}, body) == after


def test_items_stand_in_the_order_that_is_set_and_others_keep_their_places() -> None:
    before = pod(*({"name": name} for name in "pqrs"))
    body = {"spec": {"$setElementOrder/containers": [{"name": name} for name in "snq"], "containers": [{"name": "n"}]}}
    assert names(strategic(before, body)) == ["p", "r", "s", "n", "q"]


def test_a_new_item_that_the_order_leaves_out_comes_last() -> None:
    body = {"spec": {"$setElementOrder/containers": [{"name": "q"}, {"name": "p"}], "containers": [{"name": "n"}]}}
    assert names(strategic(pod({"name": "p"}, {"name": "q"}), body)) == ["q", "p", "n"]


def test_an_order_alone_adds_no_list() -> None:
    assert strategic({"spec": {}}, {"spec": {"$setElementOrder/containers": [{"name": "x"}]}}) == {"spec": {}}


def test_finalizers_are_united_and_deleted_by_value() -> None:
    before = {"metadata": {"finalizers": ["x", "y"]}}
    body = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"], "finalizers": ["y", "z"]}}
    assert strategic(before, body) == {"metadata": {"finalizers": ["y", "z"]}}
    ordered = {"metadata": {"$setElementOrder/finalizers": ["z", "x", "y"], "finalizers": ["z"]}}
    assert strategic(before, ordered) == {"metadata": {"finalizers": ["z", "x", "y"]}}


def test_only_retained_keys_stay() -> None:
    before = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    body = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic(before, body) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_a_volume_changes_its_source_by_retained_keys() -> None:
    before = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}
    item = {"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}
    after = strategic(before, {"spec": {"volumes": [item]}})
    assert after["spec"]["volumes"] == [{"name": "v", "configMap": {"name": "c"}}]


def test_no_directive_and_no_null_is_stored_with_a_new_value() -> None:
    item = {"name": "x", "tty": None, "$retainKeys": ["name", "tty", "env"], "env": [{"name": "e", "$patch": "delete"}]}
    after = strategic({}, {"spec": {"$setElementOrder/containers": [{"name": "x"}], "containers": [item]}})
    assert after == pod({"name": "x", "env": []})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (pod("x"), "must be an object, found str"),  # type: ignore[arg-type]
        ({"spec": {"$patch": "append"}}, "unknown patch type found: append"),
        ({"spec": {"$patch": ["delete"]}}, "unknown patch type found"),
        ({"spec": {"$retainKeys": ["a"], "b": 1}}, "invalid patch format of retainKeys"),
        ({"spec": {"$setElementOrder/containers": "x"}}, "must be a list, found str"),
    ],
)
def test_a_malformed_strategic_patch_is_a_bad_request(body: Object, told: str) -> None:
    with pytest.raises(StatusError) as caught:
        strategic(pod({"name": "x"}), body)
    assert caught.value.code == 400
    assert told in caught.value.message


def test_an_item_without_its_merge_key_fails_as_in_kubernetes() -> None:
    with pytest.raises(StatusError, match="does not contain declared merge key: name") as caught:
        strategic(pod({"name": "x"}), pod({"image": "i"}))
    assert caught.value.code == 500
