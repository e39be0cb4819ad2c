"""status and scale: each writes its part alone, and only what is asked for moves the generation."""

from __future__ import annotations

from typing import Any

from tests.conformance.client import Client
from tests.conformance.gauges import gauge
from tests.conformance.objects import Object, Places, config_map, deployment, inference_service, widget

SCALE: Object = {"kind": "Scale", "apiVersion": "autoscaling/v1"}


def desired(answer: Any) -> Any:
    return answer.body["spec"]["replicas"]


async def test_a_status_update_changes_the_status_alone(api: Client, here: Places) -> None:
    made = await api.post(here.widgets, widget("one", {"size": 4}, labels={"a": "b"}))
    asked = {**made.body, "spec": {"size": 9}, "status": {"phase": "Good"}}
    asked["metadata"] = {**made.meta, "labels": {"a": "c"}, "annotations": {"x": "y"}}
    answer = await api.put(f"{here.widgets}/one/status", asked)
    assert answer.status == 200
    assert (answer.body["spec"], answer.body["status"]) == ({"size": 4}, {"phase": "Good"})
    assert answer.meta["labels"] == {"a": "b"}
    assert "annotations" not in answer.meta
    assert answer.meta["generation"] == made.meta["generation"]
    assert (await api.get(f"{here.widgets}/one/status")).body == answer.body


async def test_an_update_leaves_the_status_alone_and_may_leave_it_out(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one"))
    known = await api.patch(f"{here.widgets}/one/status", {"status": {"phase": "Good"}})
    changed = {**known.body, "spec": {"size": 5}, "status": {"phase": "Bad"}}
    answer = await api.put(f"{here.widgets}/one", changed)
    assert (answer.body["spec"], answer.body["status"]) == ({"size": 5}, {"phase": "Good"})
    without = {name: value for name, value in answer.body.items() if name != "status"}
    assert (await api.put(f"{here.widgets}/one", without)).body == answer.body


async def test_only_the_desired_state_moves_the_generation(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one"))
    one = f"{here.widgets}/one"
    generations = [
        (await api.patch(path, patch)).meta["generation"]
        for path, patch in (
            (one, {"metadata": {"labels": {"a": "b"}}}),
            (f"{one}/status", {"status": {"phase": "Good"}}),
            (one, {"spec": {"size": 5}}),
            (one, {"spec": {"size": 5}}),
            (one, {"metadata": {"finalizers": ["conformance.llmkube.dev/x"]}}),
            (one, {"metadata": {"finalizers": None}}),
            (one, {"spec": {"size": None}}),
        )
    ]
    assert generations == [1, 1, 2, 2, 2, 2, 3]


async def test_a_deployment_moves_its_generation_likewise(api: Client, here: Places) -> None:
    made = await api.post(here.deployments, deployment("one"))
    one = f"{here.deployments}/one"
    assert made.meta["generation"] == 1
    assert (await api.patch(one, {"metadata": {"labels": {"a": "b"}}})).meta["generation"] == 1
    assert (await api.patch(one, {"spec": {"paused": True}})).meta["generation"] == 2


async def test_a_status_is_held_to_its_schema(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one"))
    answer = await api.patch(f"{here.widgets}/one/status", {"status": {"phase": "Odd"}})
    why = 'Unsupported value: "Odd": supported values: "Good", "Bad"'
    assert answer.status == 422
    assert ("FieldValueNotSupported", "status.phase", why) in answer.causes


async def test_a_status_update_of_an_older_state_is_a_conflict(api: Client, here: Places) -> None:
    made = await api.post(here.widgets, widget("one"))
    await api.patch(f"{here.widgets}/one", {"spec": {"size": 5}})
    answer = await api.put(f"{here.widgets}/one/status", {**made.body, "status": {"phase": "Good"}})
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


async def test_a_status_without_a_version_is_taken_of_a_built_in_object_only(api: Client, here: Places) -> None:
    await api.post(here.deployments, deployment("one"))
    status = {"observedGeneration": 1, "replicas": 3}
    built_in = await api.put(f"{here.deployments}/one/status", {**deployment("one"), "status": status})
    assert (built_in.status, built_in.body["status"]) == (200, status)
    await api.post(here.widgets, widget("one"))
    custom = await api.put(f"{here.widgets}/one/status", {**widget("one"), "status": {"phase": "Good"}})
    assert custom.status == 422
    assert custom.message.endswith("metadata.resourceVersion: Invalid value: 0: must be specified for an update")


async def test_what_has_no_such_subresource_has_no_such_path(api: Client, here: Places) -> None:
    await api.post(here.configmaps, config_map("one"))
    await api.post(here.gauges, gauge("one"))
    for path in (f"{here.configmaps}/one/status", f"{here.configmaps}/one/scale"):
        answer = await api.get(path)
        assert (answer.status, answer.message) == (404, "the server could not find the requested resource")
    for path in (f"{here.gauges}/one/status", f"{here.gauges}/one/scale"):
        answer = await api.get(path)
        assert (answer.status, answer.message) == (404, 'gauges.conformance.llmkube.dev "one" not found')


async def test_a_subresource_cannot_be_deleted_or_created(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one"))
    for subresource in ("status", "scale"):
        path = f"{here.widgets}/one/{subresource}"
        assert (await api.delete(path)).status == 405
        assert (await api.post(path, widget("one"))).status == 405


async def test_a_deployment_shows_its_scale_with_its_selector(api: Client, here: Places) -> None:
    selector = {"matchLabels": {"app": "one"}, "matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}
    made = await api.post(here.deployments, deployment("one", replicas=3, selector=selector))
    answer = await api.get(f"{here.deployments}/one/scale")
    assert answer.status == 200
    assert answer.meta["uid"] == made.meta["uid"]
    assert (answer.meta["name"], answer.meta["namespace"]) == ("one", here.namespace)
    assert answer.body["spec"] == {"replicas": 3}
    assert answer.body["status"]["selector"] == "app=one,!x"
    assert set(answer.meta) == {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}


async def test_a_deployment_is_scaled_and_its_generation_moves(api: Client, here: Places) -> None:
    await api.post(here.deployments, deployment("one"))
    path = f"{here.deployments}/one/scale"
    scale = {**SCALE, "metadata": {"name": "one", "namespace": here.namespace}}
    put = await api.put(path, {**scale, "spec": {"replicas": 2}})
    assert (put.status, put.body["kind"], desired(put)) == (200, "Scale", 2)
    patched = await api.patch(path, {"spec": {"replicas": 3}})
    assert (patched.status, desired(patched)) == (200, 3)
    found = await api.get(f"{here.deployments}/one")
    assert (desired(found), found.meta["generation"]) == (3, 3)


async def test_a_scale_of_an_older_state_is_a_conflict(api: Client, here: Places) -> None:
    await api.post(here.deployments, deployment("one"))
    path = f"{here.deployments}/one/scale"
    scale = (await api.get(path)).body
    await api.patch(path, {"spec": {"replicas": 2}})
    answer = await api.put(path, {**scale, "spec": {"replicas": 4}})
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    without = {**SCALE, "metadata": {"name": "one", "namespace": here.namespace}, "spec": {"replicas": 4}}
    assert desired(await api.put(path, without)) == 4


async def test_a_custom_object_shows_and_takes_its_scale_where_its_definition_says(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one", {"size": 4}))
    await api.patch(f"{here.widgets}/one/status", {"status": {"replicas": 2, "selector": "a=b"}})
    path = f"{here.widgets}/one/scale"
    found = await api.get(path)
    assert found.body["spec"] == {"replicas": 4}
    assert found.body["status"] == {"replicas": 2, "selector": "a=b"}
    scaled = await api.put(path, {**found.body, "spec": {"replicas": 5}})
    assert (scaled.status, scaled.body["kind"], desired(scaled)) == (200, "Scale", 5)
    assert desired(await api.patch(path, {"spec": {"replicas": 6}})) == 6
    widget_now = await api.get(f"{here.widgets}/one")
    assert (widget_now.body["spec"]["size"], widget_now.meta["generation"]) == (6, 3)


async def test_a_scale_that_the_schema_does_not_allow_is_invalid(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one"))
    answer = await api.patch(f"{here.widgets}/one/scale", {"spec": {"replicas": 11}})
    assert answer.status == 422
    why = "Invalid value: 11: spec.size in body should be less than or equal to 10"
    assert ("FieldValueInvalid", "spec.size", why) in answer.causes


async def test_a_deployment_is_not_scaled_below_nothing(api: Client, here: Places) -> None:
    await api.post(here.deployments, deployment("one"))
    answer = await api.patch(f"{here.deployments}/one/scale", {"spec": {"replicas": -1}})
    why = "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    assert (answer.status, answer.message) == (422, f'Scale.autoscaling "one" is invalid: {why}')


async def test_a_custom_object_counts_from_nothing(api: Client, here: Places) -> None:
    await api.post(here.inferenceservices, inference_service("one"))
    one = f"{here.inferenceservices}/one"
    why = "Invalid value: -1: should be a non-negative integer"
    for path in (f"{one}/scale", one):
        answer = await api.patch(path, {"spec": {"replicas": -1}})
        assert answer.status == 422
        assert ("FieldValueInvalid", ".spec.replicas", why) in answer.causes
    await api.post(here.widgets, widget("one"))
    answer = await api.patch(f"{here.widgets}/one/status", {"status": {"replicas": -1}})
    assert answer.causes == [("FieldValueInvalid", ".status.replicas", why)]


async def test_a_scale_of_what_is_not_there_is_not_found(api: Client, here: Places) -> None:
    for path in (f"{here.deployments}/none/scale", f"{here.widgets}/none/scale"):
        assert (await api.get(path)).status == 404
        assert (await api.patch(path, {"spec": {"replicas": 1}})).status == 404


async def test_who_scales_owns_the_count_and_the_next_apply_of_another_conflicts(api: Client, here: Places) -> None:
    one = f"{here.deployments}/one"
    await api.apply(one, deployment("one", replicas=1), "alpha")
    await api.patch(f"{one}/scale", {"spec": {"replicas": 2}}, fieldManager="scaler")
    answer = await api.apply(one, deployment("one", replicas=1), "alpha")
    assert answer.status == 409
    assert [field for _, field, _ in answer.causes] == [".spec.replicas"]
    assert 'conflict with "scaler" with subresource "scale"' in answer.message
    assert (await api.apply(one, deployment("one", replicas=2), "alpha")).status == 200


async def test_a_count_that_an_intent_leaves_to_its_scaler_stays(api: Client, here: Places) -> None:
    one = f"{here.deployments}/one"
    await api.apply(one, deployment("one", replicas=1), "alpha")
    await api.patch(f"{one}/scale", {"spec": {"replicas": 2}}, fieldManager="scaler")
    silent = deployment("one")
    del silent["spec"]["replicas"]
    answer = await api.apply(one, silent, "alpha")
    assert (answer.status, desired(answer)) == (200, 2)


async def test_an_apply_of_a_scale_owns_the_count(api: Client, here: Places) -> None:
    one = f"{here.deployments}/one"
    await api.post(here.deployments, deployment("one"))
    answer = await api.apply(f"{one}/scale", {**SCALE, "spec": {"replicas": 2}}, "scaler", force=True)
    assert (answer.status, answer.body["kind"], desired(answer)) == (200, "Scale", 2)
    entries = (await api.get(one)).meta["managedFields"]
    (scaler,) = [each for each in entries if each["manager"] == "scaler"]
    assert (scaler["operation"], scaler["subresource"]) == ("Apply", "scale")
    assert scaler["fieldsV1"] == {"f:spec": {"f:replicas": {}}}


async def test_an_apply_of_a_custom_objects_scale_is_refused(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one"))
    answer = await api.apply(f"{here.widgets}/one/scale", {**SCALE, "spec": {"replicas": 2}}, "scaler", force=True)
    assert answer.status == 500
    assert "request to convert CR to an invalid group/version: autoscaling/v1" in answer.message


async def test_our_inference_services_scale_by_their_replicas(api: Client, here: Places) -> None:
    await api.post(here.inferenceservices, inference_service("one"))
    path = f"{here.inferenceservices}/one/scale"
    scaled = await api.patch(path, {"spec": {"replicas": 0}})
    assert (scaled.status, scaled.body["spec"]) == (200, {})  # 0 is left out
    assert (await api.get(f"{here.inferenceservices}/one")).body["spec"]["replicas"] == 0
