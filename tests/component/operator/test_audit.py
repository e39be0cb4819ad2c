"""What is read from an audit log: what was asked for, what was refused, what was granted and never used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.component.operator.audit import Asked, blocking, granted, refused, requests, used

if TYPE_CHECKING:
    from pathlib import Path

USER = "system:serviceaccount:llmkube-system:llmkube-operator"
EVENT = {
    "verb": "patch",
    "requestURI": "/apis/apps/v1/namespaces/a/deployments/chat?fieldManager=llmkube-inference",
    "objectRef": {"apiGroup": "apps", "resource": "deployments"},
    "user": {"username": USER},
    "responseStatus": {"code": 200},
    "annotations": {"authorization.k8s.io/decision": "allow"},
}
PATCHED = Asked("apps", "deployments", "patch")
ROLE = """
kind: Role
rules:
- {apiGroups: [apps], resources: [deployments], verbs: [patch, delete]}
- {apiGroups: [""], resources: [pods/log], verbs: [get]}
"""


def test_a_grant_that_is_never_used_is_found(tmp_path: Path) -> None:
    role = tmp_path / "role.yaml"
    role.write_text(ROLE)
    log = {**EVENT, "verb": "get", "objectRef": {"resource": "pods", "subresource": "log"}}
    assert granted(role) - used([EVENT, log]) == {Asked("apps", "deployments", "delete")}


def test_a_subresource_is_a_right_of_its_own(tmp_path: Path) -> None:
    role = tmp_path / "role.yaml"
    role.write_text(ROLE)
    pods = {**EVENT, "verb": "get", "objectRef": {"resource": "pods"}}
    assert used([pods]) - granted(role) == {Asked("", "pods", "get")}


def test_a_wildcard_is_never_used(tmp_path: Path) -> None:
    role = tmp_path / "role.yaml"
    role.write_text('kind: ClusterRole\nrules:\n- {apiGroups: [apps], resources: ["*"], verbs: [patch]}\n')
    assert granted(role) - used([EVENT]) == {Asked("apps", "*", "patch")}


def test_what_is_forbidden_is_found_and_what_is_allowed_is_not() -> None:
    denied = {**EVENT, "annotations": {"authorization.k8s.io/decision": "forbid"}, "responseStatus": {"code": 403}}
    assert refused([EVENT]) == set()
    assert refused([EVENT, denied]) == {PATCHED}


def test_what_admission_forbids_is_found_though_rbac_allowed_it() -> None:
    assert refused([{**EVENT, "responseStatus": {"code": 403}}]) == {PATCHED}


def test_a_forbidden_path_that_is_no_resources_is_found() -> None:
    denied = {**EVENT, "verb": "get", "requestURI": "/metrics?x=1", "responseStatus": {"code": 403}}
    del denied["objectRef"]
    assert refused([denied]) == {Asked("", "/metrics", "get")}


def test_an_apply_that_made_something_was_a_create_as_well() -> None:
    made = {**EVENT, "responseStatus": {"code": 201}}
    assert used([EVENT]) == {PATCHED}
    assert used([made]) == {PATCHED, PATCHED._replace(verb="create")}


def test_a_watch_stands_for_a_list_only_where_it_begins_with_one() -> None:
    watch = {**EVENT, "verb": "watch", "requestURI": "/apis/apps/v1/deployments?watch=1&resourceVersion=7"}
    first = {**watch, "requestURI": "/apis/apps/v1/deployments?sendInitialEvents=true&watch=1"}
    assert used([watch]) == {PATCHED._replace(verb="watch")}
    assert used([first]) == {PATCHED._replace(verb="watch"), PATCHED._replace(verb="list")}


def test_only_what_blocks_its_owners_deletion_needs_the_owners_finalizers() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a", "uid": "u", "blockOwnerDeletion": True}
    free = {**owner, "apiVersion": "v1", "kind": "Pod", "blockOwnerDeletion": False}
    made = [{"metadata": {"ownerReferences": [owner, free]}}, {"metadata": {}}]
    assert blocking(made) == {Asked("apps", "deployments/finalizers", "update")}


def test_requests_are_those_of_one_user_from_a_byte_on_and_never_half_a_line(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    before = json.dumps({**EVENT, "verb": "delete"}) + "\n"
    other = json.dumps({**EVENT, "user": {"username": "system:admin"}}) + "\n"
    log.write_text(before + other + json.dumps(EVENT) + "\n" + '{"verb": "pat')
    assert requests(log, USER, start=len(before)) == [EVENT]
