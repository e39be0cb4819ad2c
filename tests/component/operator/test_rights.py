"""The operator asks for nothing that it is not granted, and is granted nothing that it never uses.

It runs as its service account, under the roles of manifests/rbac, through everything that it does; then the API
server's audit log is read. Only a real control plane keeps one, and only one of hack/controlplane keeps it here.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.component.operator.api import Refused
from tests.component.operator.audit import Asked, granted, refused, requests, used
from tests.component.operator.conftest import is_ready
from tests.component.operator.kubelet import NOW, status_of
from tests.component.operator.plane import ACCOUNT, MANIFESTS, SYSTEM
from tests.component.operator.process import Operator
from tests.conformance.backends import KUBECONFIG

from llmkube.cli.operator import LEASE

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.kubelet import Kubelet
    from tests.component.operator.plane import Plane

    Documents = Callable[..., tuple[Object, Object]]

USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
OURS = "inference.llmkube.dev"


def is_not_shown(right: Asked) -> bool:
    """Rights that are needed and leave no request of their own in the log.

    Where a watch can begin with the list (KEP-3157) nothing is listed; tests/wire shows that older servers are. Whether
    `finalizers` may be updated is asked by the admission plugin OwnerReferencesPermissionEnforcement, which is on here:
    without the right every create in this test would be refused.
    """
    return right.verb == "list" or right.resource.endswith("/finalizers")


@pytest.fixture
def log() -> Callable[[], list[Object]]:
    """What the operator asked for since the test began."""
    file = Path(os.environ[KUBECONFIG]).parent / "audit.log"
    start = file.stat().st_size
    return lambda: requests(file, USER, start=start)


@pytest.fixture
def leader(plane: Plane, here: str, log: Callable[..., object], tmp_path: Path) -> Iterator[Operator]:
    """An operator as in production: with leader election, the first that there is."""
    with suppress(Refused):
        plane.api.delete("leases", SYSTEM, LEASE)
    flags = ("--leader-election-namespace", SYSTEM, "--namespace", here)
    with Operator(plane.kubeconfig, tmp_path / "operator.log", *flags) as one:
        one.until_ready()
        yield one


@pytest.mark.real_control_plane
def test_the_operator_is_granted_what_it_asks_for_and_asks_for_all_that_it_is_granted(
    api: Api,
    here: str,
    kubelet: Kubelet,
    leader: Operator,
    documents: Documents,
    until: Until,
    log: Callable[..., object],
) -> None:
    kubelet.held.set()
    apply_gated(api, here, *documents())
    pod = until(lambda: api.items("pods", here)[0])
    report(api, pod, {"phase": "Running", "containerStatuses": [running(pod)]})
    until(lambda: Asked("", "pods/log", "get") in used(log()))
    report(api, pod, status_of(pod))
    kubelet.held.clear()
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    for replicas in (0, 1):  # it is told a second time that it serves
        api.patch("inferenceservices", here, "chat", {"spec": {"replicas": replicas}})
        until(lambda: api.get("inferenceservices", here, "chat"), is_settled(replicas))
    until(lambda: Asked("events.k8s.io", "events", "patch") in used(log()))
    fetch_anew(api, here, until)
    api.delete("inferenceservices", here, "chat")
    api.delete("models", here, "chat")
    until(lambda: api.items("models", here), lambda left: left == [])
    assert leader.stop() == 0
    assert refused(log()) == set()
    assert {
        each for each in granted(MANIFESTS / "rbac" / "operator.yaml") - used(log()) if not is_not_shown(each)
    } == set()


def apply_gated(api: Api, here: str, model: Object, service: Object) -> None:
    """A model whose source wants a token."""
    token = base64.b64encode(b"hf_none").decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "data": {"token": token}}
    api.apply("secrets", here, secret)
    model["spec"]["sourceSecretRef"] = {"name": "token"}
    api.apply("models", here, model)
    api.apply("inferenceservices", here, service)


def report(api: Api, pod: Object, status: Object) -> None:
    metadata = pod["metadata"]
    api.patch("pods", metadata["namespace"], metadata["name"], {"status": status}, "status")


def running(pod: Object) -> Object:
    name = pod["spec"]["containers"][0]["name"]
    state = {"running": {"startedAt": NOW}}
    return {"name": name, "ready": True, "restartCount": 0, "image": "x", "imageID": "x", "state": state}


def is_settled(replicas: int) -> Callable[[Object], bool]:
    phase = "Ready" if replicas else "Stopped"
    return lambda service: service["status"]["phase"] == phase and service["status"].get("replicas", 0) == replicas


def fetch_anew(api: Api, here: str, until: Until) -> None:
    """Other bytes are wanted: another Job takes the place of the first."""
    (first,) = api.items("jobs", here)
    api.patch("models", here, "chat", {"spec": {"sha256": "cd" * 32}})
    until(lambda: [each["metadata"]["name"] for each in api.items("jobs", here)], lambda jobs: jobs != [name_of(first)])


def name_of(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name


EVENT = {
    "verb": "patch",
    "objectRef": {"apiGroup": "apps", "resource": "deployments"},
    "user": {"username": USER},
    "responseStatus": {"code": 201},
    "annotations": {"authorization.k8s.io/decision": "allow"},
}


def test_an_apply_that_made_something_was_a_create_as_well() -> None:
    assert used([EVENT]) == {Asked("apps", "deployments", "patch"), Asked("apps", "deployments", "create")}


def test_what_is_forbidden_is_found_and_what_is_allowed_is_not() -> None:
    denied = {**EVENT, "annotations": {"authorization.k8s.io/decision": "forbid"}}
    assert refused([EVENT]) == set()
    assert refused([EVENT, denied]) == {Asked("apps", "deployments", "patch")}


def test_a_subresource_is_a_right_of_its_own(tmp_path: Path) -> None:
    role = tmp_path / "role.yaml"
    role.write_text('kind: Role\nrules:\n- {apiGroups: [""], resources: [pods/log], verbs: [get]}\n')
    log = {**EVENT, "verb": "get", "objectRef": {"resource": "pods", "subresource": "log"}}
    assert granted(role) == {Asked("", "pods/log", "get")} == {each for each in used([log]) if each.verb == "get"}
