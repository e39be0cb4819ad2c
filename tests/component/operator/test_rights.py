"""The operator is granted what it asks for, and asks for all that it is granted.

It runs as its service account, under the roles of manifests/rbac, through everything that it does; then the API
server's audit log is read. Only a real control plane keeps one, and only one of hack/controlplane keeps it here.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.component.local.lora import write_adapter
from tests.component.operator.api import Api, Refused, path
from tests.component.operator.audit import Asked, Event, blocking, granted, refused, requests, token, used
from tests.component.operator.conftest import is_ready
from tests.component.operator.kubelet import NOW, status_of
from tests.component.operator.plane import ACCOUNT, MANIFESTS, SYSTEM
from tests.component.operator.process import Operator
from tests.conformance.backends import KUBECONFIG, access_of, context_of, read_kubeconfig

from llmkube.cli.operator import LEASE
from llmkube.controllers.caches import caches
from llmkube.local.apiserver.tls import certificates

if TYPE_CHECKING:
    from tests.component.local.file_servers import ModelServer
    from tests.component.operator.api import Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.kubelet import Kubelet
    from tests.component.operator.plane import Plane

    Documents = Callable[..., tuple[Object, Object]]

USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
ROLES = MANIFESTS / "rbac" / "operator.yaml"
OWNED = ("persistentvolumeclaims", "jobs", "deployments", "services")


@dataclass(frozen=True)
class Observed:
    """An operator, and what reached the API server from it."""

    operator: Operator
    log: Callable[[], list[Event]]

    def asks(self, right: Asked) -> Callable[[], bool]:
        return lambda: right in used(self.log())


@pytest.fixture
def leader(plane: Plane, here: str, foreign_kinds: None, tmp_path: Path) -> Iterator[Observed]:
    """An operator as in production: with leader election, the first that there is; with a token of its own."""
    with suppress(Refused):
        plane.api.delete("leases", SYSTEM, LEASE)
    file = Path(os.environ[KUBECONFIG]).parent / "audit.log"
    start = file.stat().st_size
    access, its = plane.access(tmp_path / "access", plane.api.server)
    flags = ("--leader-election-namespace", SYSTEM, "--namespace", here, "--leader-election-lease-duration", "3")
    flags += ("--leader-election-renew-deadline", "2", "--leader-election-retry-period", "1")
    flags += ("--scrape", "podmonitor")
    with Operator(access, tmp_path / "operator.log", *flags) as one:
        one.until_ready()
        yield Observed(one, lambda: [each for each in requests(file, USER, start=start) if token(each) == its])


@pytest.mark.real_control_plane
def test_the_operator_is_granted_what_it_asks_for_and_asks_for_all_that_it_is_granted(
    api: Api,
    here: str,
    kubelet: Kubelet,
    leader: Observed,
    documents: Documents,
    models: ModelServer,
    until: Until,
    tmp_path: Path,
) -> None:
    with kubelet_holds(kubelet):
        apply_gated(api, here, *documents(), certificates(tmp_path / "ca").ca_pem)
        follow_the_fetch(api, here, leader, until)
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    ask_for_all_that_may_stand_beside(api, here, leader, until)
    tell_again_that_it_serves(api, here, leader, until)
    made = [each for resource in OWNED for each in api.items(resource, here)]
    adapt(api, here, models, until)
    fetch_anew(api, here, until)
    api.delete("inferenceservices", here, "chat")
    api.delete("models", here, "chat")
    until(lambda: api.items("models", here), lambda left: left == [])
    assert leader.operator.stop() == 0
    until(lambda: lines(granted(ROLES) - needed(leader, made)), lambda never_used: never_used == [])
    assert refused(leader.log()) == set()
    assert lines(needed(leader, made) - granted(ROLES)) == [], "used, and granted by another role than its own"


def needed(leader: Observed, made: list[Object]) -> set[Asked]:
    """A watch is in the log once the API server has seen it end, which may be after the operator's own end."""
    return used(leader.log()) | blocking(made)


def lines(rights: set[Asked]) -> list[str]:
    return sorted(" ".join(each) for each in rights)


@contextmanager
def kubelet_holds(kubelet: Kubelet) -> Iterator[None]:
    """Meanwhile the test says what pods are."""
    kubelet.held.set()
    try:
        yield
    finally:
        kubelet.held.clear()


def apply_gated(api: Api, here: str, model: Object, service: Object, pem: str) -> None:
    """A model whose source wants a token, and certificates that are not everybody's."""
    token = base64.b64encode(b"hf_none").decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "data": {"token": token}}
    api.apply("secrets", here, secret)
    api.apply(
        "configmaps",
        here,
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": pem}},
    )
    model["spec"] |= {"sourceSecretRef": {"name": "token"}, "caBundleRef": {"name": "ca"}}
    api.apply("models", here, model)
    api.apply("inferenceservices", here, service)


def follow_the_fetch(api: Api, here: str, leader: Observed, until: Until) -> None:
    """Its pod runs long enough for its log to be read, then it is done."""
    pod = until(lambda: api.items("pods", here)[0])
    report(api, pod, {"phase": "Running", "containerStatuses": [running(pod)]})
    until(leader.asks(Asked("", "pods/log", "get")))
    report(api, pod, status_of(pod))


ROUTES = (
    {"kind": "Ingress", "hosts": ["chat.example.com"], "parentRef": None},
    {"kind": "HTTPRoute", "hosts": ["chat.example.com"], "parentRef": {"name": "edge"}},
)
BESIDE = ("networkpolicies", "poddisruptionbudgets", "ingresses", "httproutes")


def ask_for_all_that_may_stand_beside(api: Api, here: str, leader: Observed, until: Until) -> None:
    """And then for none of it; the PodMonitor is the operator's wish, which another one does not have."""
    for route in (*ROUTES, None):
        spec = {"networkPolicy": {} if route else None, "replicas": 2 if route else 1, "endpoint": {"route": route}}
        api.patch("inferenceservices", here, "chat", {"spec": spec})
        for resource in BESIDE:
            wanted = bool(route) and resource not in {"ingresses" if route["parentRef"] else "httproutes"}
            until(lambda of=resource: bool(api.items(of, here)), lambda found, good=wanted: found == good)
    (monitor,) = until(lambda: api.items("podmonitors", here))
    stray = {**monitor, "metadata": {**monitor["metadata"], "name": "stray"}}
    for field in ("uid", "resourceVersion", "managedFields", "creationTimestamp"):
        stray["metadata"].pop(field, None)
    api.apply("podmonitors", here, stray)
    until(
        lambda: [each["metadata"]["name"] for each in api.items("podmonitors", here)], lambda found: found == ["chat"]
    )


def tell_again_that_it_serves(api: Api, here: str, leader: Observed, until: Until) -> None:
    """The same event a second time only counts up."""
    for replicas in (0, 1):
        api.patch("inferenceservices", here, "chat", {"spec": {"replicas": replicas}})
        until(lambda: api.get("inferenceservices", here, "chat"), is_settled(replicas))
    until(leader.asks(Asked("events.k8s.io", "events", "patch")))


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


def adapt(api: Api, here: str, models: ModelServer, until: Until) -> None:
    """An adapter comes and goes, and so does its Model."""
    write_adapter(models.folder / "adapter.gguf")
    for adapters in ([{"name": "a", "source": models.url("adapter.gguf")}], []):
        api.patch("inferenceservices", here, "chat", {"spec": {"loraAdapters": adapters}})
        until(lambda: len(api.items("models", here)), lambda found, wanted=adapters: found == 1 + len(wanted))
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)


def fetch_anew(api: Api, here: str, until: Until) -> None:
    """Other bytes are wanted: another Job takes the place of the first."""
    (first,) = api.items("jobs", here)
    api.patch("models", here, "chat", {"spec": {"sha256": "cd" * 32}})
    until(lambda: [each["metadata"]["name"] for each in api.items("jobs", here)], lambda jobs: jobs != [name_of(first)])


def name_of(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name


@pytest.mark.real_control_plane
def test_whoever_makes_what_blocks_its_owners_deletion_needs_the_owners_finalizers(
    api: Api, here: str, documents: Documents, until: Until
) -> None:
    owner = api.apply("inferenceservices", here, documents()[1])
    service = owned_by(owner)
    maker = somebody(api, here)
    allow(api, here, Asked("", "services", "create"), until)
    with pytest.raises(Refused, match="blockOwnerDeletion"):
        maker.ask("POST", path("services", here), service)
    (finalizers,) = blocking([service])
    allow(api, here, finalizers, until)
    assert maker.ask("POST", path("services", here), service)["metadata"]["ownerReferences"]


def owned_by(owner: Object) -> Object:
    named = {key: owner["metadata"][key] for key in ("name", "uid")}
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], **named, "blockOwnerDeletion": True}
    return {"metadata": {"name": "owned", "ownerReferences": [reference]}, "spec": {"ports": [{"port": 80}]}}


SOMEBODY = {"kind": "ServiceAccount", "name": "somebody"}


def somebody(api: Api, here: str) -> Api:
    """A service account that may do nothing yet."""
    name = SOMEBODY["name"]
    api.apply("serviceaccounts", here, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
    given = api.ask("POST", path("serviceaccounts", here, name, "token"), {})
    cluster, _ = access_of(read_kubeconfig())
    return Api(api.server, context_of(cluster, {}), given["status"]["token"])


def allow(api: Api, here: str, right: Asked, until: Until) -> None:
    """Give somebody one more right, once the API server has heard of it: it watches roles as we watch pods."""
    group, name = "rbac.authorization.k8s.io", right.resource.replace("/", "-")
    rule = {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
    head = {"apiVersion": f"{group}/v1", "metadata": {"name": name}}
    of = {"roleRef": {"apiGroup": group, "kind": "Role", "name": name}, "subjects": [{**SOMEBODY, "namespace": here}]}
    api.apply("roles", here, {**head, "kind": "Role", "rules": [rule]})
    api.apply("rolebindings", here, {**head, "kind": "RoleBinding", **of})
    until(lambda: is_allowed(api, here, right), bool)


def is_allowed(api: Api, here: str, right: Asked) -> bool:
    resource, _, subresource = right.resource.partition("/")
    asked = {"resource": resource, "subresource": subresource, "group": right.group, "verb": right.verb}
    user = f"system:serviceaccount:{here}:{SOMEBODY['name']}"
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": {**asked, "namespace": here}},
    }
    answer = api.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def test_what_is_watched_is_what_may_be_watched() -> None:
    informers = caches(None).all()  # type: ignore[arg-type]
    watched = {Asked(each.kind.group, each.kind.plural, verb) for each in informers for verb in ("list", "watch")}
    assert watched == {each for each in granted(ROLES) if each.verb in {"list", "watch"}}
