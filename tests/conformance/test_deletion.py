"""What a delete asks for, what holds an object, and what a deleted one takes with it."""

from __future__ import annotations

import pytest
from tests.conformance.client import Answer, Client
from tests.conformance.objects import Object, Places, config_map, deployment, pod, widget

HOLD = "conformance.llmkube.dev/hold"
NOBODY = "00000000-0000-4000-8000-000000000000"
PRECONDITION = 'Operation cannot be fulfilled on ConfigMap "one": '


def gone(answer: Answer) -> bool:
    return answer.status == 404


async def test_a_finalizer_holds_an_object_until_it_is_let_go(api: Client, here: Places) -> None:
    made = await api.post(here.widgets, widget("one", finalizers=[HOLD]))
    answer = await api.delete(f"{here.widgets}/one")
    assert (answer.status, answer.body["kind"]) == (200, "Widget")
    assert answer.meta["deletionTimestamp"]
    assert answer.meta["deletionGracePeriodSeconds"] == 0
    assert answer.meta["generation"] == made.meta["generation"] + 1
    assert answer.meta["finalizers"] == [HOLD]
    let_go = await api.patch(f"{here.widgets}/one", {"metadata": {"finalizers": None}})
    assert (let_go.status, let_go.body["kind"]) == (200, "Widget")
    assert gone(await api.get(f"{here.widgets}/one"))


async def test_a_second_delete_of_what_is_held_changes_nothing(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one", finalizers=[HOLD]))
    first = await api.delete(f"{here.widgets}/one")
    second = await api.delete(f"{here.widgets}/one")
    assert (second.status, second.body) == (200, first.body)
    await api.patch(f"{here.widgets}/one", {"metadata": {"finalizers": None}})


async def test_what_is_held_can_be_changed_but_gets_no_new_finalizer(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one", finalizers=[HOLD]))
    await api.delete(f"{here.widgets}/one")
    assert (await api.patch(f"{here.widgets}/one", {"spec": {"size": 5}})).status == 200
    more = await api.patch(f"{here.widgets}/one", {"metadata": {"finalizers": [HOLD, "conformance.llmkube.dev/new"]}})
    assert more.status == 422
    (cause,) = set(more.causes)
    assert cause[:2] == ("FieldValueForbidden", "metadata.finalizers")
    assert cause[2].startswith(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
    )
    await api.patch(f"{here.widgets}/one", {"metadata": {"finalizers": None}})


async def test_what_is_being_deleted_is_not_made_anew_until_it_is_gone(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("one", finalizers=[HOLD]))
    await api.delete(f"{here.widgets}/one")
    answer = await api.post(here.widgets, widget("one"))
    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")
    assert answer.message == 'object is being deleted: widgets.conformance.llmkube.dev "one" already exists'
    await api.patch(f"{here.widgets}/one", {"metadata": {"finalizers": None}})
    assert (await api.post(here.widgets, widget("one"))).status == 201


async def test_preconditions_are_met_or_nothing_is_deleted(api: Client, here: Places) -> None:
    made = await api.post(here.configmaps, config_map("one"))
    uid, version = made.meta["uid"], made.meta["resourceVersion"]
    other = await api.delete(f"{here.configmaps}/one", {"preconditions": {"uid": NOBODY}})
    assert (other.status, other.body["reason"]) == (409, "Conflict")
    assert other.message == (
        f"{PRECONDITION}the UID in the precondition ({NOBODY}) does not match the UID in record ({uid}). "
        "The object might have been deleted and then recreated"
    )
    older = await api.delete(f"{here.configmaps}/one", {"preconditions": {"resourceVersion": "1"}})
    assert older.status == 409
    assert older.message == (
        f"{PRECONDITION}the ResourceVersion in the precondition (1) does not match the ResourceVersion in record "
        f"({version}). The object might have been modified"
    )
    both = {"preconditions": {"uid": uid, "resourceVersion": version}}
    assert (await api.delete(f"{here.configmaps}/one", both)).status == 200


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (
            {"propagationPolicy": "Sideways"},
            (
                "FieldValueNotSupported",
                "propagationPolicy",
                'Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil"',
            ),
        ),
        (
            {"propagationPolicy": "Orphan", "orphanDependents": True},
            (
                "FieldValueInvalid",
                "propagationPolicy",
                'Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
            ),
        ),
        (
            {"dryRun": ["Some"]},
            ("FieldValueNotSupported", "dryRun", 'Unsupported value: ["Some"]: supported values: "All"'),
        ),
    ],
)
async def test_options_of_a_delete_that_are_none_are_invalid(
    api: Client, here: Places, options: Object, cause: tuple[str, str, str]
) -> None:
    await api.post(here.configmaps, config_map("one"))
    answer = await api.delete(f"{here.configmaps}/one", options)
    assert (answer.status, answer.causes) == (422, [cause])
    assert answer.message == f'DeleteOptions.meta.k8s.io "" is invalid: {cause[1]}: {cause[2]}'
    assert (await api.get(f"{here.configmaps}/one")).status == 200


async def test_a_dry_run_in_the_body_deletes_nothing(api: Client, here: Places) -> None:
    await api.post(here.configmaps, config_map("one"))
    assert (await api.delete(f"{here.configmaps}/one", {"dryRun": ["All"]})).status == 200
    assert (await api.get(f"{here.configmaps}/one")).status == 200


@pytest.mark.parametrize(
    ("options", "finalizer"),
    [
        ({"propagationPolicy": "Foreground"}, "foregroundDeletion"),
        ({"propagationPolicy": "Orphan"}, "orphan"),
        ({"orphanDependents": True}, "orphan"),
    ],
)
async def test_a_policy_is_a_finalizer_that_the_garbage_collector_lets_go(
    api: Client, here: Places, controllers: None, options: Object, finalizer: str
) -> None:
    await api.post(here.configmaps, config_map("one", finalizers=[HOLD]))
    answer = await api.delete(f"{here.configmaps}/one", options)
    assert set(answer.meta["finalizers"]) == {HOLD, finalizer}
    await api.until(f"{here.configmaps}/one", lambda found: found.meta["finalizers"] == [HOLD])
    await api.patch(f"{here.configmaps}/one", {"metadata": {"finalizers": None}})
    assert gone(await api.get(f"{here.configmaps}/one"))


async def test_a_pod_on_a_node_waits_for_its_grace_and_one_on_none_goes_at_once(
    api: Client, here: Places, pods_may_run: None
) -> None:
    await api.post(here.pods, pod("free", schedulerName="nobody"))
    await api.post(here.pods, pod("bound", nodeName="nowhere", terminationGracePeriodSeconds=600))
    await api.delete(f"{here.pods}/free")
    assert gone(await api.get(f"{here.pods}/free"))
    held = await api.delete(f"{here.pods}/bound")
    assert (held.status, held.meta["deletionGracePeriodSeconds"]) == (200, 600)
    shorter = await api.delete(f"{here.pods}/bound", {"gracePeriodSeconds": 300})
    assert shorter.meta["deletionGracePeriodSeconds"] == 300
    longer = await api.delete(f"{here.pods}/bound", {"gracePeriodSeconds": 500})
    assert longer.meta["deletionGracePeriodSeconds"] == 300
    await api.delete(f"{here.pods}/bound", {"gracePeriodSeconds": 0})
    assert gone(await api.get(f"{here.pods}/bound"))


async def test_a_collection_is_deleted_as_its_selectors_say(api: Client, here: Places) -> None:
    for name in "abc":
        await api.post(here.configmaps, config_map(name, labels={"go": "no" if name == "b" else "yes"}))
    dry = await api.delete(here.configmaps, labelSelector="go=yes", dryRun="All")
    assert dry.status == 200
    answer = await api.delete(here.configmaps, labelSelector="go=yes")
    assert (answer.status, answer.body["kind"], answer.names) == (200, "ConfigMapList", ["a", "c"])
    left = await api.get(here.configmaps, labelSelector="go")
    assert left.names == ["b"]


async def test_a_collection_with_held_objects_is_marked(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("held", finalizers=[HOLD]))
    await api.post(here.widgets, widget("free"))
    await api.delete(here.widgets)
    left = (await api.get(here.widgets)).body["items"]
    assert [(one["metadata"]["name"], "deletionTimestamp" in one["metadata"]) for one in left] == [("held", True)]
    await api.patch(f"{here.widgets}/held", {"metadata": {"finalizers": None}})


async def test_a_deleted_namespace_takes_what_is_in_it(api: Client, here: Places, controllers: None) -> None:
    await api.post(here.widgets, widget("one", finalizers=[HOLD]))
    await api.post(here.configmaps, config_map("one"))
    await api.post(here.deployments, deployment("one"))
    path = f"/api/v1/namespaces/{here.namespace}"
    answer = await api.delete(path)
    assert (answer.status, answer.body["status"]["phase"]) == (200, "Terminating")
    for kind in (here.configmaps, here.deployments):
        await api.until(f"{kind}/one", gone)
    await api.until(f"{here.widgets}/one", lambda found: "deletionTimestamp" in found.meta)
    refused = await api.post(here.configmaps, config_map("two"))
    assert (refused.status, refused.body["reason"]) == (403, "Forbidden")
    assert refused.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert refused.message == (
        f'configmaps "two" is forbidden: unable to create new content in namespace {here.namespace} '
        "because it is being terminated"
    )
    assert (await api.get(path)).body["status"]["phase"] == "Terminating"
    await api.patch(f"{here.widgets}/one", {"metadata": {"finalizers": None}})
    await api.until(path, gone)
