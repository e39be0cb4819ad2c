"""A webhook that writes other images into Deployments, for a mirror, say: only a real API server asks one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.wire.models.web_servers import Authority
from tests.wire.models.web_servers import serving as served

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.process import Operator

    Serving = Callable[..., Object]

pytestmark = [pytest.mark.real_control_plane, pytest.mark.usefixtures("mirror", "steady")]
MIRROR = "mirror.example/"


class Webhook(BaseHTTPRequestHandler):
    """Answers an AdmissionReview with a JSON patch of each container's image."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = asked["request"]
        patch = json.dumps(mirrored(request["object"])).encode()
        answer = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch"}
        body = {**asked, "response": {**answer, "patch": base64.b64encode(patch).decode()}}
        sent = json.dumps({name: body[name] for name in ("apiVersion", "kind", "response")}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        pass


def mirrored(deployment: Object) -> list[Object]:
    pod = deployment["spec"]["template"]["spec"]
    return [
        {"op": "replace", "path": f"/spec/template/spec/{field}/{number}/image", "value": f"{MIRROR}{each['image']}"}
        for field in ("initContainers", "containers")
        for number, each in enumerate(pod.get(field) or ())
        if not each["image"].startswith(MIRROR)
    ]


@pytest.fixture
def mirror(api: Api, here: str, until: Until, tmp_path: Path) -> Iterator[None]:
    """The webhook, for this namespace; from before the operator starts."""
    authority = Authority(tmp_path)
    with served(Webhook, authority.server()) as url:
        bundle = base64.b64encode(authority.bundle.read_bytes()).decode()
        rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"]}
        webhook = {
            "name": f"mirror.{here}.example",
            "clientConfig": {"url": url, "caBundle": bundle},
            "rules": [{**rule, "resources": ["deployments"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": here}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        head = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
        api.apply("mutatingwebhookconfigurations", "", {**head, "metadata": {"name": here}, "webhooks": [webhook]})
        try:
            until_asked(api, here, until)
            yield
        finally:
            api.delete("mutatingwebhookconfigurations", "", here)


def until_asked(api: Api, here: str, until: Until) -> None:
    """The API server hears of a webhook a moment after it is stored."""
    probe = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "probe"}}
    pod = {"metadata": {"labels": {"a": "probe"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    probe |= {"spec": {"replicas": 0, "selector": {"matchLabels": {"a": "probe"}}, "template": pod}}
    until(lambda: images(api.apply("deployments", here, probe)), lambda found: found == [f"{MIRROR}x"])
    api.delete("deployments", here, "probe")


def images(deployment: Object) -> list[str]:
    return [each["image"] for each in deployment["spec"]["template"]["spec"]["containers"]]


def test_what_a_webhook_makes_of_a_deployment_is_taken_as_it_is_and_told_once(
    api: Api, here: str, serving: Serving, operator: Operator, until: Until
) -> None:
    serving()
    assert all(each.startswith(MIRROR) for each in images(api.get("deployments", here, "chat")))
    api.patch("inferenceservices", here, "chat", {"spec": {"contextSize": 1024}})
    until(lambda: "1024" in api.get("deployments", here, "chat")["spec"]["template"]["spec"]["containers"][0]["args"])
    api.patch("inferenceservices", here, "chat", {"metadata": {"labels": {"look": "once-more"}}})
    until(lambda: told(operator), lambda found: len(found) == 2)
    assert {each["object"] for each in told(operator)} == {f"{here}/chat"}
    assert all(each["field"].endswith(".image") for each in told(operator)), told(operator)


def told(operator: Operator) -> list[Object]:
    """The lines of its log about fields that the API server keeps otherwise."""
    lines = (json.loads(each) for each in operator.log.read_text().splitlines() if each.startswith("{"))
    return [each for each in lines if "keeps a field otherwise" in each["message"]]
