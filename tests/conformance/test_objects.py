"""Create, get, update and delete, and how their failures are worded."""

from __future__ import annotations

import re

from tests.conformance.client import Client
from tests.conformance.objects import Places, config_map, widget

UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


async def test_a_created_object_comes_back_with_what_the_server_sets(api: Client, here: Places) -> None:
    made = await api.post(here.configmaps, config_map("one", {"a": "b"}))
    assert made.status == 201
    assert made.body["data"] == {"a": "b"}
    assert made.meta["namespace"] == here.namespace
    assert UUID.fullmatch(made.meta["uid"])
    assert made.meta["resourceVersion"].isdigit()
    assert "generation" not in made.meta
    assert (await api.get(f"{here.configmaps}/one")).body == made.body


async def test_a_missing_object_is_not_found(api: Client, here: Places) -> None:
    for answer in (
        await api.get(f"{here.configmaps}/none"),
        await api.delete(f"{here.configmaps}/none"),
        await api.patch(f"{here.configmaps}/none", {"data": {}}),
    ):
        assert answer.status == 404
        assert answer.body == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'configmaps "none" not found',
            "reason": "NotFound",
            "details": {"name": "none", "kind": "configmaps"},
            "code": 404,
        }


async def test_a_missing_custom_object_is_not_found_in_its_group(api: Client, here: Places) -> None:
    answer = await api.get(f"{here.widgets}/none")
    assert answer.message == 'widgets.conformance.llmkube.dev "none" not found'
    assert answer.body["details"] == {"name": "none", "group": "conformance.llmkube.dev", "kind": "widgets"}


async def test_a_name_that_is_taken_is_refused(api: Client, here: Places) -> None:
    await api.post(here.configmaps, config_map("one"))
    answer = await api.post(here.configmaps, config_map("one"))
    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")
    assert answer.message == 'configmaps "one" already exists'
    assert answer.body["details"] == {"name": "one", "kind": "configmaps"}


async def test_an_update_of_an_older_state_is_a_conflict(api: Client, here: Places) -> None:
    made = await api.post(here.configmaps, config_map("one"))
    await api.patch(f"{here.configmaps}/one", {"data": {"a": "b"}})
    answer = await api.put(f"{here.configmaps}/one", {**made.body, "data": {"a": "c"}})
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == (
        'Operation cannot be fulfilled on configmaps "one": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert answer.body["details"] == {"name": "one", "kind": "configmaps"}


async def test_an_update_without_a_resource_version_replaces_a_built_in_object(api: Client, here: Places) -> None:
    made = await api.post(here.configmaps, config_map("one", {"a": "b"}, labels={"x": "y"}))
    answer = await api.put(f"{here.configmaps}/one", config_map("one", {"c": "d"}))
    assert answer.status == 200
    assert answer.body["data"] == {"c": "d"}
    assert "labels" not in answer.meta
    assert answer.meta["uid"] == made.meta["uid"]


async def test_an_update_of_a_custom_object_needs_a_resource_version(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one"))
    answer = await api.put(f"{here.widgets}/one", widget("one", {"size": 4}))
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message == (
        'widgets.conformance.llmkube.dev "one" is invalid: '
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    )


async def test_an_update_of_an_object_that_is_not_there_is_not_found(api: Client, here: Places) -> None:
    asked = widget("one", resourceVersion="1")
    assert (await api.put(f"{here.widgets}/one", asked)).status == 404


async def test_a_deleted_object_is_gone_and_the_answer_says_which(api: Client, here: Places) -> None:
    made = await api.post(here.configmaps, config_map("one"))
    answer = await api.delete(f"{here.configmaps}/one")
    assert answer.status == 200
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "one", "kind": "configmaps", "uid": made.meta["uid"]},
    }
    assert (await api.get(f"{here.configmaps}/one")).status == 404


async def test_what_the_server_owns_cannot_be_set_or_changed(api: Client, here: Places) -> None:
    told = {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 9}
    made = await api.post(here.widgets, {**widget("one", **told), "status": {"phase": "Good"}})
    assert made.status == 201
    assert made.meta["uid"] != "mine"
    assert made.meta["creationTimestamp"] != told["creationTimestamp"]
    assert made.meta["generation"] == 1
    assert "status" not in made.body
    changed = await api.patch(f"{here.widgets}/one", {"metadata": {"generation": 9, "creationTimestamp": None}})
    assert changed.meta["generation"] == 1
    assert changed.meta["creationTimestamp"] == made.meta["creationTimestamp"]


async def test_the_uid_of_another_object_is_a_conflict(api: Client, here: Places) -> None:
    made = await api.post(here.configmaps, config_map("one"))
    other = "00000000-0000-4000-8000-000000000000"
    answer = await api.put(f"{here.configmaps}/one", config_map("one", uid=other))
    assert answer.status == 409
    assert answer.message.startswith('Operation cannot be fulfilled on configmaps "one": ')
    assert answer.message.endswith(
        f"Precondition failed: UID in precondition: {other}, UID in object meta: {made.meta['uid']}"
    )


async def test_an_object_to_create_has_no_resource_version(api: Client, here: Places) -> None:
    answer = await api.post(here.configmaps, config_map("one", resourceVersion="1"))
    assert answer.status == 500
    assert answer.message == "resourceVersion should not be set on objects to be created"


async def test_name_and_namespace_of_the_body_are_those_of_the_url(api: Client, here: Places) -> None:
    await api.post(here.configmaps, config_map("one"))
    other = await api.put(f"{here.configmaps}/one", config_map("two"))
    assert other.status == 400
    assert other.message == "the name of the object (two) does not match the name on the URL (one)"
    elsewhere = await api.put(f"{here.configmaps}/one", config_map("one", namespace="default"))
    assert elsewhere.status == 400
    mismatch = "the namespace of the provided object does not match the namespace sent on the request"
    assert elsewhere.message == mismatch
    created = await api.post(here.configmaps, config_map("one", namespace="default"))
    assert created.status == 400
    assert created.message == mismatch


async def test_nothing_is_created_in_a_namespace_that_is_not_there(api: Client) -> None:
    answer = await api.post("/api/v1/namespaces/conformance-none/configmaps", config_map("one"))
    assert answer.status == 404
    assert answer.message == 'namespaces "conformance-none" not found'


async def test_a_resource_that_is_not_served_is_a_plain_404(api: Client, here: Places) -> None:
    answer = await api.get(f"/apis/{'nothing.llmkube.dev'}/v1/namespaces/{here.namespace}/things")
    assert answer.status == 404


async def test_an_object_of_another_kind_is_refused(api: Client, here: Places) -> None:
    custom = await api.post(here.widgets, {**widget("one"), "kind": "Gadget"})
    assert custom.status == 422
    assert custom.message == (
        'Gadget.conformance.llmkube.dev "one" is invalid: kind: Invalid value: "Gadget": must be Widget'
    )
    builtin = await api.post(here.configmaps, {**config_map("one"), "kind": "Secret"})
    assert (builtin.status, builtin.body["reason"]) == (400, "BadRequest")
    assert builtin.message.startswith('Secret in version "v1" cannot be handled as a ConfigMap')
