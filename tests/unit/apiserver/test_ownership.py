"""Who owns the fields of an object after creates, updates and patches."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llmkube.local.apiserver.apply import apply
from llmkube.local.apiserver.ownership import track
from llmkube.local.apiserver.shapes import BuiltinShape
from llmkube.local.objects import Object

BUILTIN = BuiltinShape()
NOON, LATER = "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"


def job(spec: Object, **metadata: Any) -> Object:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", **metadata}, "spec": spec}


def written(old: Object | None, new: Object, manager: str = "m", **options: Any) -> Object:
    return track(old, new, BUILTIN, **{"manager": manager, "now": NOON, **options})


def with_spec(obj: Object, **spec: Any) -> Object:
    return {**obj, "spec": {**obj["spec"], **spec}}


def owned(obj: Object) -> dict[str, Object]:
    return {one["manager"]: one["fieldsV1"] for one in obj["metadata"].get("managedFields", ())}


def test_the_creator_owns_every_field_but_the_identity() -> None:
    made = written(None, job({"suspend": True}, labels={"a": "b"}, uid="1", resourceVersion="2"))
    assert made["metadata"]["managedFields"] == [
        {
            "manager": "m",
            "operation": "Update",
            "apiVersion": "batch/v1",
            "time": NOON,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:suspend": {}}},
        }
    ]


def test_a_writer_without_a_name_is_unknown() -> None:
    assert list(owned(written(None, job({"suspend": True}), manager=""))) == ["unknown"]


def test_tracking_leaves_its_inputs_as_they_are() -> None:
    made = written(None, job({"suspend": True}))
    new = with_spec(made, suspend=False)
    before = copy.deepcopy((made, new))
    written(made, new, "other")
    assert (made, new) == before


def test_an_update_that_changes_nothing_changes_no_owner_and_no_time() -> None:
    made = written(None, job({"suspend": True}))
    assert written(made, made, "other", now=LATER) == made


def test_a_changed_field_moves_to_its_new_writer() -> None:
    made = written(None, job({"suspend": True, "parallelism": 1}))
    after = written(made, with_spec(made, parallelism=2), "other", now=LATER)
    assert owned(after) == {"m": {"f:spec": {"f:suspend": {}}}, "other": {"f:spec": {"f:parallelism": {}}}}
    assert [one["time"] for one in after["metadata"]["managedFields"]] == [NOON, LATER]


def test_a_manager_that_lost_everything_is_gone() -> None:
    made = written(None, job({"suspend": True}))
    assert list(owned(written(made, with_spec(made, suspend=False), "other"))) == ["other"]


def test_a_removed_field_has_no_owner() -> None:
    made = written(None, job({"suspend": True, "parallelism": 1}))
    after = written(made, {**made, "spec": {"suspend": True}}, "other")
    assert owned(after) == {"m": {"f:spec": {"f:suspend": {}}}}


def test_a_writer_keeps_what_it_owned_and_gains_what_it_changes() -> None:
    made = written(None, job({"suspend": True}))
    after = written(made, with_spec(made, parallelism=2), now=LATER)
    assert owned(after) == {"m": {"f:spec": {"f:suspend": {}, "f:parallelism": {}}}}


def test_an_update_takes_a_field_from_its_applier() -> None:
    made = apply(None, job({"suspend": True, "parallelism": 1}), BUILTIN, manager="a", force=False, now=NOON)
    after = written(made, with_spec(made, parallelism=2), "u")
    assert owned(after) == {"a": {"f:spec": {"f:suspend": {}}}, "u": {"f:spec": {"f:parallelism": {}}}}


def test_an_item_of_a_list_map_is_owned_by_its_key() -> None:
    made = written(None, job({"containers": [{"name": "x", "image": "i"}]}))
    after = written(made, with_spec(made, containers=[{"name": "y"}, {"name": "x", "image": "i"}]), "other")
    added: Object = {'k:{"name":"y"}': {".": {}, "f:name": {}}}
    assert owned(after)["other"] == {"f:spec": {"f:containers": added}}
    assert owned(after)["m"] == owned(made)["m"]


def test_a_field_that_becomes_a_map_belongs_to_who_made_it_one() -> None:
    made = written(None, job({"suspend": "x"}))
    assert owned(written(made, with_spec(made, suspend={"a": 1}), "other")) == {
        "other": {"f:spec": {"f:suspend": {"f:a": {}}}}
    }


def test_a_map_that_loses_its_last_field_is_not_taken_by_who_emptied_it() -> None:
    made = written(None, job({"strategy": {}}))
    filled = written(made, with_spec(made, strategy={"type": "x"}), "u")
    assert list(owned(filled)) == ["m", "u"]
    assert list(owned(written(filled, with_spec(filled, strategy={}), "u"))) == ["m"]


def test_one_is_not_true() -> None:
    made = written(None, job({"suspend": True}))
    assert list(owned(written(made, with_spec(made, suspend=1), "other"))) == ["other"]


def test_status_and_main_are_two_managers() -> None:
    made = written(None, job({"suspend": True}))
    after = written(made, {**made, "status": {"active": 1}}, subresource="status")
    entries = after["metadata"]["managedFields"]
    assert [one.get("subresource") for one in entries] == [None, "status"]
    assert entries[1]["fieldsV1"] == {"f:status": {"f:active": {}}}


@pytest.mark.parametrize("sent", [[], [{}]])
def test_managed_fields_sent_empty_forget_all_owners(sent: list[Object]) -> None:
    made = written(None, job({"suspend": True}))
    after = written(made, job({"suspend": False}, managedFields=sent))
    assert after == job({"suspend": False})
    assert written(after, job({"suspend": True})) == job({"suspend": True})


@pytest.mark.parametrize("sent", [[{"manager": "forged"}], "nonsense", [1], None])
def test_managed_fields_that_a_client_sends_are_ignored(sent: Any) -> None:
    made = written(None, job({"suspend": True}))
    assert written(made, job({"suspend": True}, managedFields=sent)) == made
    assert written(None, job({"suspend": True}, managedFields=sent)) == made


def test_only_so_many_updaters_are_told_apart() -> None:
    live = written(None, job({"n0": 0}), "m0", now="2026-01-01T00:00:00Z")
    for at in range(1, 15):
        live = written(live, with_spec(live, **{f"n{at}": at}), f"m{at}", now=f"2026-01-01T00:00:{at:02d}Z")
    assert sorted(owned(live)) == sorted(["ancient-changes", *(f"m{at}" for at in range(6, 15))])
    assert owned(live)["ancient-changes"] == {"f:spec": {f"f:n{at}": {} for at in range(6)}}
