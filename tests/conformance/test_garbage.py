"""Garbage collection by ownerReferences: who goes with whom, when, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.client import Answer, Client
from tests.conformance.objects import Object, Places, config_map, container, deployment, widget

HOLD = "conformance.llmkube.dev/hold"
NOBODY = "00000000-0000-4000-8000-000000000000"


def reference(owner: Answer, **more: Any) -> Object:
    body = owner.body
    identity = {"apiVersion": body["apiVersion"], "kind": body["kind"]}
    return {**identity, "name": owner.meta["name"], "uid": owner.meta["uid"], **more}


def gone(answer: Answer) -> bool:
    return answer.status == 404


async def owned(api: Client, here: Places, name: str, *references: Object, **meta: Any) -> str:
    """The path of a ConfigMap with these owners."""
    answer = await api.post(here.configmaps, config_map(name, ownerReferences=list(references), **meta))
    assert answer.status == 201, answer.body
    return f"{here.configmaps}/{name}"


async def let_go(api: Client, path: str) -> None:
    await api.patch(path, {"metadata": {"finalizers": None}})


async def test_what_is_owned_goes_after_its_owner(api: Client, here: Places, controllers: None) -> None:
    owner = await api.post(here.configmaps, config_map("owner"))
    child = await owned(api, here, "child", reference(owner))
    parent = await api.get(child)
    grandchild = await owned(api, here, "grandchild", reference(parent))
    answer = await api.delete(f"{here.configmaps}/owner")
    assert answer.body["status"] == "Success"
    await api.until(child, gone)
    await api.until(grandchild, gone)


@pytest.mark.timeout(150)
async def test_a_custom_object_owns_and_is_owned_too(api: Client, here: Places, controllers: None) -> None:
    owner = await api.post(here.widgets, widget("owner"))
    child = await owned(api, here, "child", reference(owner))
    custom = await api.post(here.widgets, widget("custom", ownerReferences=[reference(await api.get(child))]))
    assert custom.status == 201
    await api.delete(f"{here.widgets}/owner")
    # A garbage collector looks for new kinds only now and then.
    await api.until(f"{here.widgets}/custom", gone, times=1200)
    assert gone(await api.get(child))


async def test_one_owner_that_stays_is_enough(api: Client, here: Places, controllers: None) -> None:
    first = await api.post(here.configmaps, config_map("first"))
    second = await api.post(here.configmaps, config_map("second"))
    both = await owned(api, here, "both", reference(first), reference(second))
    one = await owned(api, here, "one", reference(first))
    await api.delete(f"{here.configmaps}/first")
    await api.until(one, gone)
    left = await api.until(both, lambda found: len(found.meta["ownerReferences"]) == 1)
    assert left.meta["ownerReferences"] == [reference(second)]
    await api.delete(f"{here.configmaps}/second")
    await api.until(both, gone)


@pytest.mark.parametrize("name", ["there", "never"])
async def test_an_owner_that_never_was_and_one_of_another_uid_are_none(
    api: Client, here: Places, controllers: None, name: str
) -> None:
    owner = await api.post(here.configmaps, config_map("there"))
    child = await owned(api, here, "child", {**reference(owner), "name": name, "uid": NOBODY})
    await api.until(child, gone)
    assert (await api.get(f"{here.configmaps}/there")).status == 200


async def test_in_the_foreground_what_blocks_goes_first(api: Client, here: Places, controllers: None) -> None:
    owner = await api.post(here.configmaps, config_map("owner"))
    blocking = await owned(api, here, "blocking", reference(owner, blockOwnerDeletion=True), finalizers=[HOLD])
    answer = await api.delete(f"{here.configmaps}/owner", {"propagationPolicy": "Foreground"})
    assert answer.meta["finalizers"] == ["foregroundDeletion"]
    await api.until(blocking, lambda found: "deletionTimestamp" in found.meta)
    assert (await api.get(f"{here.configmaps}/owner")).status == 200
    await let_go(api, blocking)
    await api.until(f"{here.configmaps}/owner", gone)


async def test_in_the_foreground_what_does_not_block_is_not_waited_for(
    api: Client, here: Places, controllers: None
) -> None:
    owner = await api.post(here.configmaps, config_map("owner"))
    other = await owned(api, here, "other", reference(owner), finalizers=[HOLD])
    await api.delete(f"{here.configmaps}/owner", {"propagationPolicy": "Foreground"})
    await api.until(f"{here.configmaps}/owner", gone)
    await api.until(other, lambda found: "deletionTimestamp" in found.meta)
    await let_go(api, other)


async def test_orphans_stay_and_forget_their_owner(api: Client, here: Places, controllers: None) -> None:
    owner = await api.post(here.configmaps, config_map("owner"))
    second = await api.post(here.configmaps, config_map("second"))
    child = await owned(api, here, "child", reference(owner), reference(second))
    only = await owned(api, here, "only", reference(owner))
    await api.delete(f"{here.configmaps}/owner", {"propagationPolicy": "Orphan"})
    await api.until(f"{here.configmaps}/owner", gone)
    assert (await api.get(child)).meta["ownerReferences"] == [reference(second)]
    assert "ownerReferences" not in (await api.get(only)).meta


async def test_a_deployment_takes_its_replica_sets_with_it_or_leaves_them(
    api: Client, here: Places, controllers: None
) -> None:
    sets = f"/apis/apps/v1/namespaces/{here.namespace}/replicasets"
    await api.post(here.deployments, deployment("one"))
    found = await api.until(sets, lambda found: found.body["items"])
    (made,) = found.body["items"]
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["controller"], owner["blockOwnerDeletion"]) == ("Deployment", True, True)
    await api.delete(f"{here.deployments}/one", {"propagationPolicy": "Orphan"})
    await api.until(f"{here.deployments}/one", gone)
    left = (await api.get(sets)).body["items"]
    assert [one["metadata"]["name"] for one in left] == [made["metadata"]["name"]]
    await api.post(here.deployments, deployment("one"))
    await api.until(sets, lambda found: all(one["metadata"].get("ownerReferences") for one in found.body["items"]))
    await api.delete(f"{here.deployments}/one")
    await api.until(sets, lambda found: not found.body["items"])


async def test_a_job_that_is_deleted_plainly_leaves_no_pods(
    api: Client, here: Places, controllers: None, pods_may_run: None
) -> None:
    jobs = f"/apis/batch/v1/namespaces/{here.namespace}/jobs"
    template = {"spec": {"containers": [container()], "restartPolicy": "Never", "schedulerName": "nobody"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}, "spec": {"template": template}}
    await api.post(jobs, job)
    await api.until(here.pods, lambda found: found.body["items"])
    answer = await api.delete(f"{jobs}/one", {"propagationPolicy": "Background"})
    assert answer.status == 200
    await api.until(here.pods, lambda found: not found.body["items"])


@pytest.mark.parametrize("lacking", ["apiVersion", "kind", "name", "uid"])
async def test_a_reference_that_names_nobody_is_invalid(api: Client, here: Places, lacking: str, minor: int) -> None:
    whole = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": NOBODY}
    answer = await api.post(here.configmaps, config_map("one", ownerReferences=[{**whole, lacking: ""}]))
    field = f"metadata.ownerReferences{'[0]' if minor >= 37 else ''}.{lacking}"
    assert answer.status == 422
    assert field in [where for _, where, _ in answer.causes]


async def test_only_one_owner_is_the_controller(api: Client, here: Places) -> None:
    whole = {"apiVersion": "v1", "kind": "ConfigMap", "uid": NOBODY, "controller": True}
    references = [{**whole, "name": "x"}, {**whole, "name": "y", "uid": NOBODY.replace("8", "9")}]
    answer = await api.post(here.configmaps, config_map("one", ownerReferences=references))
    assert answer.status == 422
    (cause,) = answer.causes
    assert cause[:2] == ("FieldValueInvalid", "metadata.ownerReferences")
    assert "Only one reference can have Controller set to true" in cause[2]
