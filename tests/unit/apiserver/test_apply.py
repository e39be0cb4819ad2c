"""Server-side apply, case by case: what is merged, what goes, who owns it, who is contradicted."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from llmkube.local.apiserver.apply import apply
from llmkube.local.apiserver.ownership import track
from llmkube.local.apiserver.shapes import BuiltinShape
from llmkube.local.objects import Object, StatusError

if TYPE_CHECKING:
    pass

BUILTIN = BuiltinShape()
NOON, LATER = "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"


def deployment(spec: Object, **metadata: Any) -> Object:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", **metadata}, "spec": spec}


def pod_spec(*containers: Object) -> Object:
    return {"template": {"spec": {"containers": list(containers)}}}


def containers_of(obj: Object) -> list[Object]:
    found: list[Object] = obj["spec"]["template"]["spec"]["containers"]
    return found


def by(manager: str, live: Object | None, applied: Object, **options: Any) -> Object:
    return apply(live, applied, BUILTIN, **{"manager": manager, "force": False, "now": NOON, **options})


def entry(obj: Object, manager: str, operation: str = "Apply") -> Object:
    entries = obj["metadata"]["managedFields"]
    found: Object = next(one for one in entries if (one["manager"], one["operation"]) == (manager, operation))
    return found


def managers(obj: Object) -> list[tuple[str, str]]:
    return [(one["manager"], one["operation"]) for one in obj["metadata"].get("managedFields", ())]


def refused(live: Object | None, applied: Object) -> StatusError:
    with pytest.raises(StatusError) as caught:
        by("b", live, applied)
    return caught.value


def test_a_new_object_is_created_and_all_that_was_applied_is_owned() -> None:
    made = by("a", None, deployment({"replicas": 1, **pod_spec({"name": "c", "image": "i"})}))
    container: Object = {'k:{"name":"c"}': {".": {}, "f:name": {}, "f:image": {}}}
    assert made["metadata"]["managedFields"] == [
        {
            "manager": "a",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": NOON,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": container}}}},
        }
    ]


def test_the_same_apply_again_changes_nothing_not_even_the_time() -> None:
    wanted = deployment({"replicas": 1, **pod_spec({"name": "c", "image": "i"})}, labels={"app": "x"})
    made = by("a", None, wanted)
    assert by("a", made, wanted, now=LATER) == made


def test_applying_leaves_its_inputs_as_they_are() -> None:
    made = by("a", None, deployment({"replicas": 1, "paused": True}))
    wanted = deployment({"replicas": 2})
    before = copy.deepcopy((made, wanted))
    by("a", made, wanted)
    assert (made, wanted) == before


def test_a_changed_value_is_set_and_the_time_is_new() -> None:
    made = by("a", None, deployment({"replicas": 1}))
    after = by("a", made, deployment({"replicas": 2}), now=LATER)
    assert after["spec"] == {"replicas": 2}
    assert entry(after, "a")["time"] == LATER


def test_a_field_that_is_no_longer_applied_is_removed() -> None:
    made = by("a", None, deployment({"replicas": 1, "paused": True}))
    assert by("a", made, deployment({"replicas": 1}))["spec"] == {"replicas": 1}


def test_a_field_that_is_no_longer_applied_stays_while_another_applies_it() -> None:
    shared = by("b", by("a", None, deployment({"replicas": 1, "paused": True})), deployment({"paused": True}))
    after = by("a", shared, deployment({"replicas": 1}))
    assert after["spec"] == {"replicas": 1, "paused": True}
    assert by("b", after, deployment({}))["spec"] == {"replicas": 1}


def test_a_field_that_an_updater_owns_stays_when_an_applier_gives_it_up() -> None:
    made = track(None, deployment({"replicas": 1}), BUILTIN, manager="u", now=NOON)
    shared = by("a", made, deployment({"replicas": 1}))
    assert by("a", shared, deployment({}))["spec"] == {"replicas": 1}


def test_what_nobody_owns_is_left_alone() -> None:
    made = by("a", None, deployment({"replicas": 1}))
    live = {**made, "spec": {**made["spec"], "revisionHistoryLimit": 10}}
    assert by("a", live, deployment({"paused": True}))["spec"] == {"revisionHistoryLimit": 10, "paused": True}


def test_a_struct_that_nobody_owns_a_part_of_goes_with_its_defaults() -> None:
    probe = {"httpGet": {"path": "/", "port": 80}}
    made = by("a", None, deployment(pod_spec({"name": "c", "livenessProbe": probe})))
    defaulted = {"httpGet": {**probe["httpGet"], "scheme": "HTTP"}, "timeoutSeconds": 1}
    live = {**made, "spec": pod_spec({"name": "c", "livenessProbe": defaulted})}
    assert containers_of(by("a", live, deployment(pod_spec({"name": "c"})))) == [{"name": "c"}]


def test_two_managers_share_what_they_apply_alike() -> None:
    shared = by("b", by("a", None, deployment({"replicas": 1})), deployment({"replicas": 1}), now=LATER)
    assert managers(shared) == [("a", "Apply"), ("b", "Apply")]
    assert entry(shared, "a")["time"] == NOON


def test_taking_a_share_of_a_field_renews_the_time() -> None:
    both = by("b", by("a", None, deployment({"replicas": 1})), deployment({"paused": True}))
    after = by("b", both, deployment({"replicas": 1, "paused": True}), now=LATER)
    assert after["spec"] == both["spec"]
    assert [entry(after, name)["time"] for name in "ab"] == [NOON, LATER]


def test_a_shared_field_cannot_be_changed_by_one_of_its_managers() -> None:
    shared = by("b", by("a", None, deployment({"replicas": 1})), deployment({"replicas": 1}))
    assert refused(shared, deployment({"replicas": 2})).message == (
        'Apply failed with 1 conflict: conflict with "a": .spec.replicas'
    )


def test_one_conflict_is_told_in_kubernetes_words() -> None:
    made = track(None, deployment({"replicas": 1}), BUILTIN, manager="kubectl-client-side-apply", now=NOON)
    error = refused(made, deployment({"replicas": 2}))
    told = 'conflict with "kubectl-client-side-apply" using apps/v1'
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == f"Apply failed with 1 conflict: {told}: .spec.replicas"
    assert error.details == {"causes": [{"reason": "FieldManagerConflict", "message": told, "field": ".spec.replicas"}]}


def test_several_conflicts_are_told_by_manager() -> None:
    made = by("a", None, deployment({"replicas": 1, **pod_spec({"name": "c", "image": "i"})}))
    made = track(made, {**made, "spec": {**made["spec"], "paused": True}}, BUILTIN, manager="u", now=NOON)
    error = refused(made, deployment({"replicas": 2, "paused": False, **pod_spec({"name": "c", "image": "j"})}))
    assert error.message == (
        'Apply failed with 3 conflicts: conflicts with "a":\n- .spec.replicas\n'
        '- .spec.template.spec.containers[name="c"].image\nconflicts with "u" using apps/v1:\n- .spec.paused'
    )


def test_force_takes_the_field_from_its_manager() -> None:
    made = by("a", None, deployment({"replicas": 1}))
    forced = by("b", made, deployment({"replicas": 2}), force=True)
    assert forced["spec"] == {"replicas": 2}
    assert managers(forced) == [("b", "Apply")]


def test_after_a_forced_change_the_first_manager_conflicts() -> None:
    made = by("b", None, deployment({"replicas": 1}))
    forced = by("a", made, deployment({"replicas": 2}), force=True)
    assert refused(forced, deployment({"replicas": 1})).code == 409


def test_the_same_name_as_updater_is_another_manager() -> None:
    made = track(None, deployment({"replicas": 1}), BUILTIN, manager="b", now=NOON)
    assert 'conflict with "b" using apps/v1' in refused(made, deployment({"replicas": 2})).message


def test_a_label_is_removed_and_those_of_others_stay() -> None:
    made = by("a", None, deployment({}, labels={"one": "1", "two": "2"}))
    both = by("b", made, deployment({}, labels={"three": "3"}))
    assert by("a", both, deployment({}, labels={"one": "1"}))["metadata"]["labels"] == {"one": "1", "three": "3"}


def test_the_last_field_given_up_leaves_the_objects_identity() -> None:
    made = by("a", None, deployment({}, labels={"one": "1"}, namespace="n"))
    after = by("a", made, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}})
    assert after["metadata"] == {"name": "web", "namespace": "n"}


def test_status_and_main_are_apart_for_one_manager() -> None:
    made = by("a", None, deployment({"replicas": 1}))
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {"replicas": 1}}
    both = by("a", made, status, subresource="status")
    assert both["spec"] == {"replicas": 1}
    assert [one.get("subresource") for one in both["metadata"]["managedFields"]] == [None, "status"]
    again = by("a", both, deployment({"replicas": 2}))
    assert (again["spec"], again["status"]) == ({"replicas": 2}, {"replicas": 1})


def test_a_conflict_with_a_status_manager_names_the_subresource() -> None:
    status = {"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Running"}}
    made = by("a", None, status, subresource="status")
    told = 'conflict with "a" with subresource "status": .status.phase'
    assert refused(made, {**status, "status": {"phase": "Failed"}}).message.endswith(told)


def test_an_object_that_nobody_is_known_to_own_is_not_taken_unasked() -> None:
    assert (
        'conflict with "before-first-apply" using apps/v1'
        in refused(deployment({"replicas": 1}), deployment({"replicas": 2})).message
    )
    after = by("a", deployment({"replicas": 1}), deployment({"replicas": 1}))
    assert managers(after) == [("a", "Apply"), ("before-first-apply", "Update")]


def test_an_empty_map_stays_owned_while_another_fills_it() -> None:
    made = by("a", None, deployment({"strategy": {}}))
    filled = track(made, {**made, "spec": {"strategy": {"type": "Recreate"}}}, BUILTIN, manager="u", now=NOON)
    assert managers(filled) == [("a", "Apply"), ("u", "Update")]
    assert by("a", filled, deployment({"strategy": {}}), now=LATER) == filled


def test_a_map_that_is_applied_empty_instead_stays_empty() -> None:
    made = by("a", None, deployment({"strategy": {"type": "Recreate"}}))
    assert by("a", made, deployment({"strategy": {}}))["spec"] == {"strategy": {}}


def test_a_list_that_loses_its_last_item_stays_with_who_applied_it_empty() -> None:
    made = by("a", None, deployment(pod_spec()))
    filled = by("b", made, deployment(pod_spec({"name": "x"})))
    after = by("b", filled, deployment({}))
    assert after["spec"] == pod_spec()
    assert entry(after, "a") == entry(made, "a")


def test_a_null_is_not_applied() -> None:
    made = by("a", None, deployment({"replicas": None, "paused": True}, creationTimestamp=None))
    assert made["spec"] == {"paused": True}
    assert entry(made, "a")["fieldsV1"] == {"f:spec": {"f:paused": {}}}


def test_managed_fields_cannot_be_applied() -> None:
    error = refused(None, deployment({}, managedFields=[{"manager": "a"}]))
    assert (error.code, error.message) == (400, "metadata.managedFields must be nil")


def test_a_configuration_nested_beyond_measure_is_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    assert refused(None, deployment(deep)).code == 400
