"""Server-side apply (KEP-555): who owns what, conflicts, and what goes when an intent no longer holds it."""

from __future__ import annotations

from typing import Any

from tests.conformance.client import Client
from tests.conformance.objects import Object, Places, config_map, container, deployment, widget


def owners(obj: Object, subresource: str = "") -> dict[str, Any]:
    """What each manager owns, by its name."""
    entries = obj["metadata"]["managedFields"]
    return {each["manager"]: each["fieldsV1"] for each in entries if each.get("subresource", "") == subresource}


def apply_deployment(*containers: Object, **spec: Any) -> Object:
    found = deployment("one")
    found["spec"]["template"]["spec"]["containers"] = list(containers)
    found["spec"].update(spec)
    return found


def images(obj: Object) -> dict[str, str]:
    return {each["name"]: each["image"] for each in obj["spec"]["template"]["spec"]["containers"]}


async def test_an_apply_makes_what_is_not_there_and_changes_what_is(api: Client, here: Places) -> None:
    made = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}))
    changed = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "2"}))
    assert (made.status, changed.status) == (201, 200)
    assert changed.body["data"] == {"a": "2"}
    assert changed.meta["uid"] == made.meta["uid"]
    assert int(changed.meta["resourceVersion"]) > int(made.meta["resourceVersion"])


async def test_an_apply_that_changes_nothing_has_no_new_version(api: Client, here: Places) -> None:
    first = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}))
    again = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}))
    assert again.body == first.body


async def test_each_manager_owns_what_it_applied(api: Client, here: Places) -> None:
    await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}), "alpha")
    found = await api.apply(f"{here.configmaps}/one", config_map("one", {"b": "2"}), "beta")
    assert found.body["data"] == {"a": "1", "b": "2"}
    assert {who: set(fields["f:data"]) for who, fields in owners(found.body).items()} == {
        "alpha": {"f:a"},
        "beta": {"f:b"},
    }
    assert {each["operation"] for each in found.meta["managedFields"]} == {"Apply"}


async def test_a_field_of_anothers_is_a_conflict_that_names_both(api: Client, here: Places) -> None:
    await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}), "alpha")
    answer = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "2"}), "beta")
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == 'Apply failed with 1 conflict: conflict with "alpha": .data.a'
    assert answer.causes == [("FieldManagerConflict", ".data.a", 'conflict with "alpha"')]
    assert (await api.get(f"{here.configmaps}/one")).body["data"] == {"a": "1"}


async def test_force_takes_a_field_over(api: Client, here: Places) -> None:
    await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1", "b": "1"}), "alpha")
    found = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "2"}), "beta", force=True)
    assert found.body["data"] == {"a": "2", "b": "1"}
    assert set(owners(found.body)["alpha"]["f:data"]) == {"f:b"}


async def test_the_same_value_is_owned_by_both_without_a_conflict(api: Client, here: Places) -> None:
    await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}), "alpha")
    found = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}), "beta")
    assert found.status == 200
    assert [set(fields["f:data"]) for fields in owners(found.body).values()] == [{"f:a"}, {"f:a"}]


async def test_what_an_intent_no_longer_holds_goes_when_nobody_else_owns_it(api: Client, here: Places) -> None:
    await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1", "b": "1"}), "alpha")
    await api.apply(f"{here.configmaps}/one", config_map("one", {"b": "1"}), "beta")
    found = await api.apply(f"{here.configmaps}/one", config_map("one", {}), "alpha")
    assert found.body["data"] == {"b": "1"}


async def test_containers_are_merged_by_name(api: Client, here: Places) -> None:
    await api.apply(f"{here.deployments}/one", apply_deployment(container("main")), "alpha")
    injected = {**deployment("one"), "spec": {"template": {"spec": {"containers": [container("sidecar")]}}}}
    found = await api.apply(f"{here.deployments}/one", injected, "beta")
    assert set(images(found.body)) == {"main", "sidecar"}
    changed = apply_deployment(container("main", image="conformance.invalid/other:1"))
    found = await api.apply(f"{here.deployments}/one", changed, "alpha")
    assert images(found.body) == {
        "main": "conformance.invalid/other:1",
        "sidecar": "conformance.invalid/nothing:1",
    }


async def test_env_and_ports_are_merged_by_their_keys(api: Client, here: Places) -> None:
    ours = container(env=[{"name": "A", "value": "1"}], ports=[{"containerPort": 80}])
    theirs = {"name": "main", "env": [{"name": "B", "value": "2"}], "ports": [{"containerPort": 80, "protocol": "UDP"}]}
    await api.apply(f"{here.deployments}/one", apply_deployment(ours), "alpha")
    body = {**deployment("one"), "spec": {"template": {"spec": {"containers": [theirs]}}}}
    found = (await api.apply(f"{here.deployments}/one", body, "beta")).body
    (main,) = found["spec"]["template"]["spec"]["containers"]
    assert [each["name"] for each in main["env"]] == ["A", "B"]
    assert {(each["containerPort"], each["protocol"]) for each in main["ports"]} == {(80, "TCP"), (80, "UDP")}


async def test_arguments_are_one_value_and_a_part_of_them_is_a_conflict(api: Client, here: Places) -> None:
    await api.apply(f"{here.deployments}/one", apply_deployment(container(args=["--a", "--b"])), "alpha")
    body = {**deployment("one"), "spec": {"template": {"spec": {"containers": [{"name": "main", "args": ["--c"]}]}}}}
    answer = await api.apply(f"{here.deployments}/one", body, "beta")
    field = '.spec.template.spec.containers[name="main"].args'
    assert (answer.status, [each[1] for each in answer.causes]) == (409, [field])
    found = await api.apply(f"{here.deployments}/one", body, "beta", force=True)
    assert found.body["spec"]["template"]["spec"]["containers"][0]["args"] == ["--c"]


async def test_a_selector_is_one_value(api: Client, here: Places) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one"}}
    ours = {**service, "spec": {"selector": {"a": "1"}, "ports": [{"port": 80}]}}
    await api.apply(f"{here.services}/one", ours, "alpha")
    await api.patch(f"{here.services}/one", {"spec": {"selector": {"b": "2"}}})
    assert (await api.get(f"{here.services}/one")).body["spec"]["selector"] == {"a": "1", "b": "2"}
    found = await api.apply(f"{here.services}/one", ours, "alpha", force=True)
    assert found.body["spec"]["selector"] == {"a": "1"}


async def test_the_pods_of_a_policy_and_its_rules_are_one_value_each(api: Client, here: Places) -> None:
    """A LabelSelector is atomic; an empty list of rules is one, which another's edit does not survive."""
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "one"}}
    spec = {"podSelector": {"matchLabels": {"a": "1"}}, "policyTypes": ["Egress"], "egress": []}
    ours, path = {**policy, "spec": spec}, f"{here.networkpolicies}/one"
    await api.apply(path, ours, "alpha")
    opened = {"podSelector": {"matchLabels": {"b": "2"}}, "egress": [{}]}
    changed = (await api.patch(path, {"spec": opened})).body["spec"]
    assert (changed["podSelector"], changed["egress"]) == ({"matchLabels": {"a": "1", "b": "2"}}, [{}])
    found = (await api.apply(path, ours, "alpha", force=True)).body["spec"]
    assert found == {"podSelector": spec["podSelector"], "policyTypes": ["Egress"]}, "an empty list is left out"


async def test_an_empty_list_of_rules_is_owned_though_it_is_left_out(api: Client, here: Places) -> None:
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "one"}}
    ours, path = {**policy, "spec": {"podSelector": {}, "egress": []}}, f"{here.networkpolicies}/one"
    made = (await api.apply(path, ours, "alpha")).body
    assert made["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert "f:egress" in made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    theirs = {**policy, "spec": {"podSelector": {}, "egress": [{}]}}
    assert (await api.apply(path, theirs, "beta")).status == 409


async def test_lists_of_a_definition_are_merged_as_it_says(api: Client, here: Places) -> None:
    first = {"tags": ["x"], "parts": [{"name": "one", "colour": "red"}], "steps": ["a"]}
    await api.apply(f"{here.widgets}/w", widget("w", first), "alpha")
    second = {"tags": ["y"], "parts": [{"name": "two"}]}
    found = (await api.apply(f"{here.widgets}/w", widget("w", second), "beta")).body["spec"]
    assert sorted(found["tags"]) == ["x", "y"]
    assert [(each["name"], each["count"]) for each in found["parts"]] == [("one", 1), ("two", 1)]
    answer = await api.apply(f"{here.widgets}/w", widget("w", {"steps": ["b"]}), "beta")
    assert [each[1] for each in answer.causes] == [".spec.steps"]


async def test_an_edit_takes_what_it_changes_and_the_next_apply_conflicts_with_it(api: Client, here: Places) -> None:
    await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1", "b": "1"}), "alpha")
    edited = await api.patch(f"{here.configmaps}/one", {"data": {"a": "2"}}, fieldManager="editor")
    assert set(owners(edited.body)["alpha"]["f:data"]) == {"f:b"}
    answer = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1", "b": "1"}), "alpha")
    assert answer.status == 409
    assert answer.message.startswith('Apply failed with 1 conflict: conflict with "editor" using v1')
    found = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1", "b": "1"}), "alpha", force=True)
    assert found.body["data"] == {"a": "1", "b": "1"}


async def test_an_apply_to_the_status_changes_the_status_alone_and_one_to_the_object_never_does(
    api: Client, here: Places
) -> None:
    made = await api.apply(f"{here.widgets}/w", {**widget("w", {"size": 4}), "status": {"phase": "Bad"}})
    assert "status" not in made.body
    found = await api.apply(f"{here.widgets}/w/status", {**widget("w", {"size": 9}), "status": {"phase": "Good"}})
    assert (found.body["spec"]["size"], found.body["status"]) == (4, {"phase": "Good"})
    assert found.meta["generation"] == made.meta["generation"]
    assert set(owners(found.body, "status")) == {"alpha"}
    again = await api.apply(f"{here.widgets}/w", widget("w", {"size": 5}))
    assert again.body["status"] == {"phase": "Good"}


async def test_a_status_of_what_is_not_there_is_not_found(api: Client, here: Places) -> None:
    answer = await api.apply(f"{here.widgets}/none/status", {**widget("none"), "status": {"phase": "Good"}})
    assert answer.status == 404


async def test_who_applies_must_say_who_it_is(api: Client, here: Places) -> None:
    answer = await api.patch(f"{here.configmaps}/one", config_map("one"), "apply")
    assert answer.status == 422
    assert "fieldManager" in answer.message
    assert "is required for apply patch" in answer.message


async def test_force_is_for_applies_alone(api: Client, here: Places) -> None:
    await api.post(here.configmaps, config_map("one"))
    answer = await api.patch(f"{here.configmaps}/one", {"data": {}}, force=True)
    assert answer.status == 422
    assert "may not be specified for non-apply patch" in answer.message


async def test_an_intent_says_nothing_about_owners(api: Client, here: Places) -> None:
    made = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}))
    answer = await api.apply(f"{here.configmaps}/one", made.body)
    assert answer.status == 400
    assert "metadata.managedFields must be nil" in answer.message


async def test_an_apply_to_another_version_is_a_conflict(api: Client, here: Places) -> None:
    await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}))
    answer = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "2"}, resourceVersion="1"))
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


async def test_an_apply_to_another_object_is_invalid(api: Client, here: Places) -> None:
    other = "00000000-0000-0000-0000-000000000000"
    await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}))
    answer = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "2"}, uid=other))
    cause = ("FieldValueInvalid", "metadata.uid", f'Invalid value: "{other}": field is immutable')
    assert (answer.status, set(answer.causes)) == (422, {cause})


async def test_a_dry_run_answers_and_writes_nothing(api: Client, here: Places) -> None:
    answer = await api.apply(f"{here.configmaps}/one", config_map("one", {"a": "1"}), dryRun="All")
    assert (answer.status, answer.body["data"]) == (201, {"a": "1"})
    assert (await api.get(f"{here.configmaps}/one")).status == 404


async def test_what_a_definition_does_not_know_is_no_intent(api: Client, here: Places) -> None:
    answer = await api.apply(f"{here.widgets}/w", widget("w", {"unknown": 1}))
    assert answer.status == 500
    assert ".spec.unknown: field not declared in schema" in answer.message
