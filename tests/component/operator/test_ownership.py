"""What belongs to others survives, what is ours is put back, and what we no longer want is taken away."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.operator.api import Refused
from tests.component.operator.conftest import COLLECTED, is_ready
from tests.kubectl import is_there
from tests.kubectl import kubectl as kubectl_command

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.plane import Plane
    from tests.component.operator.process import Operator

    Serving = Callable[..., Object]

pytestmark = pytest.mark.usefixtures("steady")
NOTE = "person.example/note"
SIDECAR = {"name": "proxy", "image": "mesh.example/proxy:1", "env": [{"name": "LEVEL", "value": "warn"}]}


@pytest.fixture
def kubectl(plane: Plane, here: str) -> Callable[..., str]:
    """The real one, in the test's namespace, with the rights of an administrator."""
    if not is_there():
        pytest.skip("NO kubectl on PATH or built: NOT tested with it")

    def run(*words: str, document: Object | None = None, **environment: str) -> str:
        command = [*kubectl_command(), "--kubeconfig", str(plane.admin), "--namespace", here, *words]
        sent = None if document is None else json.dumps(document)
        set_for = {**os.environ, **environment}
        return subprocess.run(
            command, input=sent, capture_output=True, text=True, check=True, timeout=60, env=set_for
        ).stdout

    return run


def engine(api: Api, here: str) -> Object:
    found: Object = next(each for each in containers(api, here) if each["name"] != SIDECAR["name"])
    return found


def containers(api: Api, here: str) -> list[Object]:
    found: list[Object] = api.get("deployments", here, "chat")["spec"]["template"]["spec"]["containers"]
    return found


def test_annotations_and_labels_of_others_survive_an_edit_of_ours(
    api: Api, here: str, serving: Serving, until: Until
) -> None:
    serving()
    for resource in ("deployments", "services"):
        marks = {"annotations": {NOTE: "keep"}, "labels": {NOTE: "keep"}}
        api.apply(resource, here, {**kind_of(api, resource, here), "metadata": {"name": "chat", **marks}})
    api.patch("inferenceservices", here, "chat", {"spec": {"contextSize": 1024, "endpoint": {"port": 9000}}})
    until(lambda: "1024" in engine(api, here)["args"])
    until(lambda: api.get("services", here, "chat")["spec"]["ports"][0]["port"] == 9000)
    for resource in ("deployments", "services"):
        metadata = api.get(resource, here, "chat")["metadata"]
        assert (metadata["annotations"][NOTE], metadata["labels"][NOTE]) == ("keep", "keep")


def kind_of(api: Api, resource: str, here: str) -> Object:
    found = api.get(resource, here, "chat")
    return {"apiVersion": found["apiVersion"], "kind": found["kind"]}


def test_an_injected_sidecar_and_what_it_adds_survive_and_cause_no_writes(
    api: Api, here: str, serving: Serving, operator: Operator, until: Until
) -> None:
    serving()
    ours = {"name": engine(api, here)["name"], "env": SIDECAR["env"]}
    template = {"spec": {"containers": [SIDECAR, ours], "tolerations": [{"key": "spot", "operator": "Exists"}]}}
    api.apply(
        "deployments", here, {**kind_of(api, "deployments", here), **named("chat"), "spec": {"template": template}}
    )
    until(lambda: len(containers(api, here)) == 2)
    until(lambda: api.get("deployments", here, "chat"), is_rolled_out)
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    sent = operator.settled()
    api.patch("deployments", here, "chat", {"metadata": {"labels": {NOTE: "look"}}})
    assert operator.settled() == sent
    api.patch("inferenceservices", here, "chat", {"spec": {"contextSize": 1024}})
    until(lambda: "1024" in engine(api, here)["args"])
    spec = api.get("deployments", here, "chat")["spec"]["template"]["spec"]
    assert [each["image"] for each in spec["containers"] if each["name"] == "proxy"] == [SIDECAR["image"]]
    assert spec["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert engine(api, here)["env"] == SIDECAR["env"]


def is_rolled_out(deployment: Object) -> bool:
    status, generation = deployment["status"], deployment["metadata"]["generation"]
    counts = [status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas")]
    return status["observedGeneration"] == generation and counts == [1, 1, 1]


def named(name: str) -> Object:
    return {"metadata": {"name": name}}


def test_a_field_that_is_no_longer_wanted_is_taken_away(api: Api, here: str, serving: Serving, until: Until) -> None:
    serving(nodeSelector={"disk": "fast"}, env=[{"name": "LLAMA_LOG_COLORS", "value": "0"}])
    template = api.get("deployments", here, "chat")["spec"]["template"]["spec"]
    assert template["nodeSelector"]["disk"] == "fast"
    assert "LLAMA_LOG_COLORS" in [each["name"] for each in engine(api, here)["env"]]
    api.patch("inferenceservices", here, "chat", {"spec": {"nodeSelector": None, "env": None}})
    until(lambda: "LLAMA_LOG_COLORS" not in [each["name"] for each in engine(api, here).get("env", [])])
    assert "disk" not in api.get("deployments", here, "chat")["spec"]["template"]["spec"].get("nodeSelector", {})


@pytest.mark.kubectl
def test_what_a_person_edits_or_scales_by_hand_is_put_back(
    api: Api, here: str, serving: Serving, kubectl: Callable[..., str], until: Until
) -> None:
    serving()
    image, name = engine(api, here)["image"], engine(api, here)["name"]
    kubectl("set", "image", "deployment/chat", f"{name}=somebody.example/else:1")
    until(lambda: engine(api, here)["image"] == image)
    kubectl("scale", "deployment/chat", "--replicas=3")
    until(lambda: api.get("deployments", here, "chat")["spec"]["replicas"] == 1)
    kubectl("patch", "service", "chat", "--type=merge", "-p", '{"spec": {"selector": {"app": "else"}}}')
    until(lambda: "app" not in api.get("services", here, "chat")["spec"]["selector"])


def test_what_keeps_a_pod_in_is_put_back_when_a_person_takes_it_out(
    api: Api, here: str, serving: Serving, until: Until
) -> None:
    """Left out, these mean the opposite of false: what is wanted is not there any more."""
    serving()
    ours = engine(api, here)
    del ours["securityContext"]["allowPrivilegeEscalation"]
    pod = {"automountServiceAccountToken": None, "enableServiceLinks": None, "containers": [ours]}
    api.patch("deployments", here, "chat", {"spec": {"template": {"spec": pod}}})
    until(lambda: guards(api, here), lambda found: found == [False, False, False])


def guards(api: Api, here: str) -> list[Any]:
    """What of a pod is worth something only where it is said."""
    pod = api.get("deployments", here, "chat")["spec"]["template"]["spec"]
    said = [pod.get(each) for each in ("automountServiceAccountToken", "enableServiceLinks")]
    return [*said, engine(api, here)["securityContext"].get("allowPrivilegeEscalation")]


@pytest.mark.parametrize(
    "peers",
    [
        [{"namespaceSelector": {}}],
        [{"podSelector": {}, "namespaceSelector": {}}],
        [{"podSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}],
    ],
)
def test_whom_a_person_lets_in_besides_is_shut_out_again(
    api: Api, here: str, serving: Serving, until: Until, peers: list[Object]
) -> None:
    serving(networkPolicy={})
    rule = api.get("networkpolicies", here, "chat")["spec"]["ingress"][0]
    api.patch("networkpolicies", here, "chat", {"spec": {"ingress": [{**rule, "from": peers}]}})
    until(lambda: api.get("networkpolicies", here, "chat")["spec"]["ingress"], lambda found: found == [rule])


def test_whom_a_person_lets_the_pods_reach_is_out_of_reach_again(
    api: Api, here: str, serving: Serving, until: Until
) -> None:
    serving(networkPolicy={})
    until(lambda: "Egress" in api.get("networkpolicies", here, "chat")["spec"]["policyTypes"])
    api.patch("networkpolicies", here, "chat", {"spec": {"egress": [{}]}})
    until(lambda: api.get("networkpolicies", here, "chat")["spec"].get("egress"), lambda found: not found)


@pytest.mark.kubectl
def test_a_person_scales_and_edits_the_service_itself(
    api: Api, here: str, serving: Serving, kubectl: Callable[..., str], until: Until
) -> None:
    serving(contextSize=512)
    kubectl("scale", "inferenceservice/chat", "--replicas=2")
    until(lambda: api.get("deployments", here, "chat")["spec"]["replicas"] == 2)
    kubectl("annotate", "inferenceservice/chat", f"{NOTE}=mine")
    kubectl("edit", "inferenceservice/chat", KUBE_EDITOR="sed -i 's/contextSize: 512/contextSize: 1024/'")
    until(lambda: "1024" in engine(api, here)["args"])
    found = until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    assert found["metadata"]["annotations"][NOTE] == "mine"


@pytest.mark.kubectl
def test_what_kubectl_applied_and_applies_no_more_is_gone(
    api: Api, here: str, operator: Operator, documents: Any, kubectl: Callable[..., str], until: Until
) -> None:
    model, service = documents(contextSize=1024)
    for each in (model, service):
        kubectl("apply", "-f", "-", document=each)
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    del service["spec"]["contextSize"]
    kubectl("apply", "-f", "-", document=service)
    until(lambda: "1024" not in engine(api, here)["args"])
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)


@pytest.mark.kubectl
def test_a_label_of_a_persons_own_on_the_service_writes_nothing_into_what_it_owns(
    api: Api, here: str, serving: Serving, operator: Operator, kubectl: Callable[..., str]
) -> None:
    serving()
    sent = operator.settled()
    kubectl("label", "inferenceservice/chat", f"{NOTE}=x")
    kubectl("annotate", "inferenceservice/chat", f"{NOTE}=x")
    assert operator.settled() == sent


@pytest.mark.kubectl
@pytest.mark.timeout(300)
def test_what_a_person_deletes_of_ours_comes_back_and_goes_with_the_service(
    api: Api, here: str, serving: Serving, kubectl: Callable[..., str], until: Until
) -> None:
    serving()
    for resource in ("deployments", "services"):
        before = api.get(resource, here, "chat")["metadata"]["uid"]
        kubectl("delete", f"{resource}/chat", "--wait=false")
        until(lambda of=resource: api.get(of, here, "chat")["metadata"]["uid"], lambda found, was=before: found != was)
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    kubectl("delete", "inferenceservice/chat")
    until(lambda: api.items("deployments", here) + api.items("services", here), is_empty, seconds=COLLECTED)


def is_empty(found: list[Object]) -> bool:
    return found == []


def test_a_deployment_that_is_somebody_elses_is_left_alone_and_told(
    api: Api, here: str, operator: Operator, documents: Any, until: Until
) -> None:
    labels = {"app": "theirs"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "theirs.example/c:1"}]}}
    theirs = {"apiVersion": "apps/v1", "kind": "Deployment", **named("chat")}
    theirs["spec"] = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    api.apply("deployments", here, theirs)
    before = api.get("deployments", here, "chat")["metadata"]["generation"]
    for resource, each in zip(("models", "inferenceservices"), documents(), strict=True):
        api.apply(resource, here, each)
    found = until(lambda: api.get("inferenceservices", here, "chat"), lambda it: it["status"]["phase"] == "Failed")
    told = {each["message"] for each in found["status"]["conditions"] if each["type"] == "Degraded"}
    assert any("Deployment" in each for each in told)
    assert api.get("deployments", here, "chat")["metadata"]["generation"] == before
    api.delete("deployments", here, "chat")
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)


def test_a_status_that_somebody_else_wrote_is_put_back_with_the_next_look(
    api: Api, here: str, serving: Serving, until: Until
) -> None:
    serving()
    wrong = {"status": {"phase": "Failed", "readyReplicas": 7}}
    api.patch("inferenceservices", here, "chat", wrong, "status")
    until(lambda: api.get("inferenceservices", here, "chat")["status"]["readyReplicas"] == 1)


def test_a_request_to_scale_to_less_than_nothing_is_refused(api: Api, here: str, serving: Serving) -> None:
    serving()
    with pytest.raises(Refused, match=r"spec\.replicas"):
        api.patch("inferenceservices", here, "chat", {"spec": {"replicas": -1}})
