"""JSON patches (RFC 6902), merge patches (RFC 7396) and strategic merge patches with their directives."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.client import Client
from tests.conformance.objects import Object, Places, config_map, container, deployment, widget

REJECTED = "the server rejected our request due to an error in our request"


def main(spec: Object) -> Object:
    return spec["template"]["spec"]["containers"][0]


async def made(api: Client, here: Places, **more: Any) -> str:
    """The path of a Deployment with one container."""
    template = {"metadata": {"labels": {"app": "one"}}, "spec": {"containers": [container(**more)]}}
    answer = await api.post(here.deployments, deployment("one", template=template))
    assert answer.status == 201, answer.body
    return f"{here.deployments}/one"


async def strategic(api: Client, path: str, **pod_spec: Any) -> Object:
    answer = await api.patch(path, {"spec": {"template": {"spec": pod_spec}}}, "strategic")
    assert answer.status == 200, answer.body
    return answer.body["spec"]


async def test_a_json_patch_does_one_thing_after_the_other(api: Client, here: Places) -> None:
    await api.post(here.configmaps, config_map("one", {"a": "1", "b": "2"}))
    operations = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "3"},
        {"op": "copy", "from": "/data/a", "path": "/data/c"},
        {"op": "move", "from": "/data/b", "path": "/data/y"},
        {"op": "add", "path": "/metadata/labels", "value": {"l": "m"}},
    ]
    answer = await api.patch(f"{here.configmaps}/one", operations, "json")
    assert (answer.status, answer.body["data"]) == (200, {"a": "3", "c": "3", "y": "2"})
    assert answer.meta["labels"] == {"l": "m"}


async def test_a_json_patch_puts_into_and_takes_out_of_lists(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one", {"steps": ["a", "b"]}))
    operations = [
        {"op": "add", "path": "/spec/steps/1", "value": "x"},
        {"op": "add", "path": "/spec/steps/-", "value": "z"},
        {"op": "remove", "path": "/spec/steps/0"},
    ]
    answer = await api.patch(f"{here.widgets}/one", operations, "json")
    assert answer.body["spec"]["steps"] == ["x", "b", "z"]


async def test_a_test_that_fails_changes_nothing(api: Client, here: Places) -> None:
    found = await api.post(here.configmaps, config_map("one", {"a": "1"}))
    operations = [
        {"op": "replace", "path": "/data/a", "value": "2"},
        {"op": "test", "path": "/data/a", "value": "1"},
    ]
    answer = await api.patch(f"{here.configmaps}/one", operations, "json")
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message.startswith(REJECTED)  # the embedded one goes on and says why
    assert (await api.get(f"{here.configmaps}/one")).body == found.body


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/data/none"},
        {"op": "replace", "path": "/none/deep", "value": "x"},
        {"op": "test", "path": "/data/none", "value": "x"},
        {"op": "increase", "path": "/data/a"},
        {"path": "/data/a"},
        {"op": "add", "path": "/none/deep", "value": "x"},
        {"op": "move", "from": "/data/none", "path": "/data/b"},
    ],
)
async def test_an_operation_upon_what_is_not_there_is_refused(api: Client, here: Places, operation: Object) -> None:
    await api.post(here.configmaps, config_map("one", {"a": "1"}))
    answer = await api.patch(f"{here.configmaps}/one", [operation], "json")
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message.startswith(REJECTED)


@pytest.mark.parametrize(("body", "kind"), [({"op": "add"}, "json"), ([1], "merge"), ("x", "strategic")])
async def test_a_patch_that_is_none_is_refused(api: Client, here: Places, body: Any, kind: str) -> None:
    await api.post(here.configmaps, config_map("one"))
    answer = await api.patch(f"{here.configmaps}/one", body, kind)
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")


async def test_a_merge_patch_replaces_lists_and_takes_away_by_null(api: Client, here: Places) -> None:
    spec = {"steps": ["a", "b"], "free": {"x": {"y": 1, "z": 2}}, "nested": {"must": "m"}}
    await api.post(here.widgets, widget("one", spec))
    patch = {"spec": {"steps": ["c"], "free": {"x": {"y": None, "w": 3}}, "nested": None}}
    answer = await api.patch(f"{here.widgets}/one", patch)
    assert answer.body["spec"] == {"size": 3, "steps": ["c"], "free": {"x": {"z": 2, "w": 3}}}


async def test_a_field_need_not_be_there_to_be_replaced(api: Client, here: Places) -> None:
    await api.post(here.configmaps, config_map("one", {"a": "1"}))
    operations = [
        {"op": "replace", "path": "/data/b", "value": "2"},
        {"op": "test", "path": "/data/none", "value": None},
    ]
    answer = await api.patch(f"{here.configmaps}/one", operations, "json")
    assert (answer.status, answer.body["data"]) == (200, {"a": "1", "b": "2"})


async def test_a_key_of_a_config_map_has_a_form(api: Client, here: Places) -> None:
    answer = await api.post(here.configmaps, config_map("one", {"x/y": "1"}))
    assert answer.status == 422
    assert [where for _, where, _ in answer.causes] == ["data[x/y]"]


async def test_a_custom_object_takes_no_strategic_patch(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one"))
    answer = await api.patch(f"{here.widgets}/one", {"spec": {"size": 4}}, "strategic")
    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")
    assert answer.message.startswith(
        "the body of the request was in an unknown format - accepted media types include: "
    )


async def test_a_strategic_patch_merges_items_by_their_key(api: Client, here: Places) -> None:
    path = await made(api, here, env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], args=["x"])
    patch = {"name": "main", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}], "args": ["y", "z"]}
    spec = await strategic(api, path, containers=[patch, container("second")])
    found = {one["name"]: one for one in spec["template"]["spec"]["containers"]}
    assert set(found) == {"main", "second"}
    env = {one["name"]: one["value"] for one in found["main"]["env"]}
    assert (env, found["main"]["args"]) == ({"A": "1", "B": "3", "C": "4"}, ["y", "z"])


async def test_a_strategic_patch_takes_an_item_away_by_a_directive(api: Client, here: Places) -> None:
    path = await made(api, here, env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    patch = {"name": "main", "env": [{"name": "A", "$patch": "delete"}]}
    assert main(await strategic(api, path, containers=[patch]))["env"] == [{"name": "B", "value": "2"}]


async def test_a_strategic_patch_replaces_a_list_or_a_map_by_a_directive(api: Client, here: Places) -> None:
    path = await made(
        api, here, env=[{"name": "A", "value": "1"}], securityContext={"runAsUser": 1, "runAsNonRoot": True}
    )
    env = [{"name": "C", "value": "3"}, {"$patch": "replace"}]
    context = {"runAsGroup": 2, "$patch": "replace"}
    found = main(await strategic(api, path, containers=[{"name": "main", "env": env, "securityContext": context}]))
    assert (found["env"], found["securityContext"]) == ([{"name": "C", "value": "3"}], {"runAsGroup": 2})


async def test_a_strategic_patch_sets_the_order(api: Client, here: Places) -> None:
    path = await made(api, here, env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    patch = {
        "name": "main",
        "env": [{"name": "C", "value": "3"}],
        "$setElementOrder/env": [{"name": "C"}, {"name": "B"}, {"name": "A"}],
    }
    found = main(await strategic(api, path, containers=[patch]))
    assert [one["name"] for one in found["env"]] == ["C", "B", "A"]


async def test_a_strategic_patch_keeps_only_the_keys_of_a_union_that_it_names(api: Client, here: Places) -> None:
    path = await made(api, here)
    strategy = {"type": "Recreate", "$retainKeys": ["type"]}
    answer = await api.patch(path, {"spec": {"strategy": strategy}}, "strategic")
    assert (answer.status, answer.body["spec"]["strategy"]) == (200, {"type": "Recreate"})


async def test_a_strategic_patch_takes_values_from_a_list_of_texts(api: Client, here: Places) -> None:
    finalizers = ["conformance.llmkube.dev/a", "conformance.llmkube.dev/b"]
    await api.post(here.configmaps, config_map("one", finalizers=finalizers))
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": finalizers[:1]}}
    answer = await api.patch(f"{here.configmaps}/one", patch, "strategic")
    assert answer.meta["finalizers"] == finalizers[1:]
    added = {"metadata": {"finalizers": finalizers[:1]}}
    answer = await api.patch(f"{here.configmaps}/one", added, "strategic")
    assert set(answer.meta["finalizers"]) == set(finalizers)
    await api.patch(f"{here.configmaps}/one", {"metadata": {"finalizers": None}})


async def test_an_item_without_its_key_is_refused(api: Client, here: Places) -> None:
    path = await made(api, here)
    patch = {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}
    answer = await api.patch(path, patch, "strategic")
    assert answer.status == 500
    assert "does not contain declared merge key: name" in answer.message


async def test_a_patch_of_an_unknown_kind_is_refused(api: Client, here: Places) -> None:
    await api.post(here.configmaps, config_map("one"))
    headers = {"Content-Type": "application/json"}
    answer = await api.ask("PATCH", f"{here.configmaps}/one", body={"data": {}}, headers=headers)
    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")
