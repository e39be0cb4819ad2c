"""Updates and generated names: what may change, what never does, and how a change of the wrong state is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.conformance.client import Client
from tests.conformance.objects import Object, Places, config_map, container, deployment, pod, widget

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]{5}"


def service(**spec: Any) -> Object:
    whole = {"selector": {"a": "b"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one"}, "spec": whole}


async def test_every_change_has_a_later_version_and_no_change_has_none(api: Client, here: Places) -> None:
    made = await api.post(here.configmaps, config_map("one", {"a": "1"}))
    changed = await api.put(f"{here.configmaps}/one", config_map("one", {"a": "2"}))
    again = await api.put(f"{here.configmaps}/one", config_map("one", {"a": "2"}))
    assert int(changed.meta["resourceVersion"]) > int(made.meta["resourceVersion"])
    assert again.body == changed.body


@pytest.mark.parametrize("kind", ["merge", "json"])
async def test_a_patch_of_an_older_state_is_a_conflict(api: Client, here: Places, kind: str) -> None:
    made = await api.post(here.widgets, widget("one"))
    version = made.meta["resourceVersion"]
    await api.patch(f"{here.widgets}/one", {"spec": {"size": 5}})
    patches: dict[str, Any] = {
        "merge": {"metadata": {"resourceVersion": version}, "spec": {"size": 6}},
        "json": [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/spec/size", "value": 6},
        ],
    }
    answer = await api.patch(f"{here.widgets}/one", patches[kind], kind)
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    named = 'Operation cannot be fulfilled on widgets.conformance.llmkube.dev "one": '
    assert answer.message == named + MODIFIED


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"uid": "00000000-0000-4000-8000-000000000000"}, "metadata.uid"),
        ({"deletionTimestamp": "2001-01-01T00:00:00Z"}, "metadata.deletionTimestamp"),
        ({"deletionGracePeriodSeconds": 3}, "metadata.deletionGracePeriodSeconds"),
    ],
)
async def test_a_patch_of_what_identifies_an_object_is_invalid(
    api: Client, here: Places, meta: Object, field: str
) -> None:
    await api.post(here.configmaps, config_map("one"))
    answer = await api.patch(f"{here.configmaps}/one", {"metadata": meta})
    assert answer.status == 422
    assert {(reason, where) for reason, where, _ in answer.causes} == {("FieldValueInvalid", field)}


@pytest.mark.parametrize("meta", [{"name": "two"}, {"namespace": "default"}])
async def test_a_patch_of_a_name_or_a_namespace_is_refused(api: Client, here: Places, meta: Object) -> None:
    await api.post(here.configmaps, config_map("one"))
    answer = await api.patch(f"{here.configmaps}/one", {"metadata": meta})
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert "does not match the" in answer.message


async def test_what_only_the_server_sets_is_kept_from_a_patch(api: Client, here: Places) -> None:
    made = await api.post(here.widgets, widget("one"))
    told = {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 9, "selfLink": "x"}
    answer = await api.patch(f"{here.widgets}/one", {"metadata": told})
    assert (answer.status, answer.body) == (200, made.body)


async def test_a_patch_that_takes_the_version_away_is_an_update_without_one(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one"))
    await api.post(here.configmaps, config_map("one"))
    without = {"metadata": {"resourceVersion": None, "labels": {"a": "b"}}}
    assert (await api.patch(f"{here.configmaps}/one", without)).status == 200
    answer = await api.patch(f"{here.widgets}/one", without)
    assert answer.causes == [
        ("FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
    ]


async def test_a_finalizer_of_a_built_in_object_has_a_domain(api: Client, here: Places) -> None:
    answer = await api.post(here.configmaps, config_map("one", finalizers=["mine"]))
    why = 'Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'
    assert answer.causes == [("FieldValueInvalid", "metadata.finalizers[0]", why)]
    assert (await api.post(here.widgets, widget("one", finalizers=["mine"]))).status == 201
    await api.patch(f"{here.widgets}/one", {"metadata": {"finalizers": None}})


async def test_an_apply_for_an_object_that_is_gone_makes_none(api: Client, here: Places) -> None:
    uid = "00000000-0000-4000-8000-000000000000"
    answer = await api.apply(f"{here.configmaps}/one", config_map("one", uid=uid))
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == (
        f'Operation cannot be fulfilled on configmaps "one": uid mismatch: the provided object specified uid {uid}, '
        "and no existing object was found"
    )


async def test_a_name_is_generated_from_its_prefix(api: Client, here: Places) -> None:
    body = config_map("x")
    body["metadata"] = {"generateName": "run-"}
    first, second = await api.post(here.configmaps, body), await api.post(here.configmaps, body)
    assert re.fullmatch(f"run-{SUFFIX}", first.meta["name"])
    assert first.meta["generateName"] == "run-"
    assert first.meta["name"] != second.meta["name"]
    body["metadata"] = {"generateName": "x" * 80}
    long = await api.post(here.configmaps, body)
    assert re.fullmatch(f"x{{58}}{SUFFIX}", long.meta["name"])


async def test_a_name_that_is_said_is_not_generated(api: Client, here: Places) -> None:
    made = await api.post(here.configmaps, config_map("one", generateName="run-"))
    assert (made.meta["name"], made.meta["generateName"]) == ("one", "run-")


async def test_an_object_has_a_name(api: Client, here: Places) -> None:
    body = config_map("x")
    body["metadata"] = {}
    answer = await api.post(here.configmaps, body)
    assert (answer.status, answer.causes) == (
        422,
        [("FieldValueRequired", "metadata.name", "Required value: name or generateName is required")],
    )


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "x" * 254])
async def test_a_name_that_is_none_is_invalid(api: Client, here: Places, name: str) -> None:
    answer = await api.post(here.configmaps, config_map(name))
    assert answer.status == 422
    assert [where for _, where, _ in answer.causes] == ["metadata.name"]


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"labels": {"a b": "c"}}, "metadata.labels"),
        ({"labels": {"a": "b c"}}, "metadata.labels"),
        ({"annotations": {"a b": "c"}}, "metadata.annotations"),
        ({"finalizers": ["no domain"]}, "metadata.finalizers"),
    ],
)
async def test_labels_annotations_and_finalizers_have_forms(
    api: Client, here: Places, meta: Object, field: str
) -> None:
    for path, body in ((here.configmaps, config_map("one", **meta)), (here.widgets, widget("one", **meta))):
        answer = await api.post(path, body)
        assert answer.status == 422
        assert field in {where for _, where, _ in answer.causes}


async def test_the_selector_of_a_deployment_never_changes(api: Client, here: Places) -> None:
    await api.post(here.deployments, deployment("one"))
    labels = {"app": "two"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container()]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    answer = await api.put(f"{here.deployments}/one", deployment("one", **spec))
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    ((reason, field, message),) = answer.causes
    assert (reason, field) == ("FieldValueInvalid", "spec.selector")
    assert message == 'Invalid value: {"matchLabels":{"app":"two"}}: field is immutable'


async def test_the_template_of_a_job_never_changes(api: Client, here: Places) -> None:
    jobs = f"/apis/batch/v1/namespaces/{here.namespace}/jobs"
    template = {"spec": {"containers": [container()], "restartPolicy": "Never", "schedulerName": "nobody"}}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}, "spec": {"template": template}}
    await api.post(jobs, body)
    other = {"template": {"spec": {"containers": [{"name": "main", "image": "other"}]}}}
    answer = await api.patch(f"{jobs}/one", {"spec": other}, "strategic")
    assert answer.status == 422
    assert [where for _, where, _ in answer.causes] == ["spec.template"]
    assert answer.message.endswith(": field is immutable")
    assert (await api.patch(f"{jobs}/one", {"spec": {"parallelism": 2}})).status == 200


async def test_a_claim_is_what_it_was_made(api: Client, here: Places) -> None:
    claims = f"/api/v1/namespaces/{here.namespace}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "one"}, "spec": spec}
    await api.post(claims, body)
    answer = await api.patch(f"{claims}/one", {"spec": {"accessModes": ["ReadWriteMany"]}})
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    ((reason, field, message),) = answer.causes
    assert (reason, field) == ("FieldValueForbidden", "spec")
    assert message.startswith("Forbidden: spec is immutable after creation except resources.requests")


async def test_a_pod_is_what_it_was_made_but_for_its_images(api: Client, here: Places, pods_may_run: None) -> None:
    await api.post(here.pods, pod("one", schedulerName="nobody"))
    one = f"{here.pods}/one"
    image = {"spec": {"containers": [{"name": "main", "image": "conformance.invalid/other:1"}]}}
    assert (await api.patch(one, image, "strategic")).status == 200
    args = {"spec": {"containers": [{"name": "main", "args": ["--x"]}]}}
    answer = await api.patch(one, args, "strategic")
    assert answer.status == 422
    ((reason, field, message),) = answer.causes
    assert (reason, field) == ("FieldValueForbidden", "spec")
    assert message.startswith("Forbidden: pod updates may not change fields other than ")


async def test_the_address_of_a_service_stays(api: Client, here: Places, controllers: None) -> None:
    await api.post(here.services, service())
    found = await api.until(f"{here.services}/one", lambda found: found.body["spec"].get("clusterIP"))
    address = found.body["spec"]["clusterIP"]
    replaced = await api.put(f"{here.services}/one", service(ports=[{"port": 81}]))
    assert (replaced.status, replaced.body["spec"]["clusterIP"]) == (200, address)
    answer = await api.patch(f"{here.services}/one", {"spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}})
    assert answer.status == 422
    assert ("FieldValueInvalid", "spec.clusterIPs[0]") in [cause[:2] for cause in answer.causes]


async def test_an_immutable_config_map_says_for_ever_what_it_says(api: Client, here: Places) -> None:
    await api.post(here.configmaps, {**config_map("one", {"a": "1"}), "immutable": True})
    one = f"{here.configmaps}/one"
    assert (await api.patch(one, {"metadata": {"labels": {"a": "b"}}})).status == 200
    changed = await api.patch(one, {"data": {"a": "2"}})
    cause = ("FieldValueForbidden", "data", "Forbidden: field is immutable when `immutable` is set")
    assert (changed.status, changed.causes) == (422, [cause])
    opened = await api.patch(one, {"immutable": False})
    assert [where for _, where, _ in opened.causes] == ["immutable"]


async def test_the_type_of_a_secret_never_changes(api: Client, here: Places) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}, "stringData": {"a": "b"}}
    await api.post(here.secrets, body)
    answer = await api.patch(f"{here.secrets}/one", {"type": "other"})
    cause = ("FieldValueInvalid", "type", 'Invalid value: "other": field is immutable')
    assert (answer.status, answer.causes) == (422, [cause])
