"""A blocking client of one API server, and the few paths that these tests use."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.conformance.backends import access_of, context_of, read_kubeconfig

Object = dict[str, Any]
PREFIXES = {
    "namespaces": "/api/v1",
    "nodes": "/api/v1",
    "pods": "/api/v1",
    "services": "/api/v1",
    "persistentvolumeclaims": "/api/v1",
    "serviceaccounts": "/api/v1",
    "secrets": "/api/v1",
    "configmaps": "/api/v1",
    "resourcequotas": "/api/v1",
    "deployments": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
    "models": "/apis/inference.llmkube.dev/v1alpha1",
    "inferenceservices": "/apis/inference.llmkube.dev/v1alpha1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "httproutes": "/apis/gateway.networking.k8s.io/v1",
    "podmonitors": "/apis/monitoring.coreos.com/v1",
    "mutatingwebhookconfigurations": "/apis/admissionregistration.k8s.io/v1",
    "validatingadmissionpolicies": "/apis/admissionregistration.k8s.io/v1",
    "validatingadmissionpolicybindings": "/apis/admissionregistration.k8s.io/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "storageclasses": "/apis/storage.k8s.io/v1",
    "events": "/apis/events.k8s.io/v1",
    "clusterroles": "/apis/rbac.authorization.k8s.io/v1",
    "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
}
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


@dataclass
class Refused(Exception):
    status: int
    body: Object = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status}: {self.body.get('message')}"


def path(resource: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    where = f"/namespaces/{namespace}" if namespace else ""
    rest = "".join(f"/{each}" for each in (name, subresource) if each)
    return f"{PREFIXES[resource]}{where}/{resource}{rest}"


@dataclass(frozen=True)
class Api:
    """Everything is allowed to whom the kubeconfig names."""

    server: str
    context: ssl.SSLContext | None = None
    token: str = ""

    def ask(self, method: str, where: str, body: object = None, kind: str = "application/json") -> Any:
        headers = {"Content-Type": kind, "Accept": "application/json"}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server}{where}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=20) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection, and lives as long as what is raised from it
                raise Refused(error.code, _status(error.read())) from error

    def get(self, resource: str, namespace: str = "", name: str = "", subresource: str = "") -> Any:
        return self.ask("GET", path(resource, namespace, name, subresource))

    def items(self, resource: str, namespace: str = "") -> list[Object]:
        found: list[Object] = self.get(resource, namespace)["items"]
        return found

    def patch(self, resource: str, namespace: str, name: str, body: Object, subresource: str = "") -> Any:
        return self.ask("PATCH", path(resource, namespace, name, subresource), body, MERGE)

    def delete(self, resource: str, namespace: str, name: str) -> None:
        self.ask("DELETE", path(resource, namespace, name))

    def apply(self, resource: str, namespace: str, body: Object, *, manager: str = "person", force: bool = True) -> Any:
        query = f"?fieldManager={manager}&force={str(force).lower()}"
        return self.ask("PATCH", path(resource, namespace, body["metadata"]["name"]) + query, body, APPLY)

    def apply_files(self, *files: Path) -> None:
        for file in files:
            for each in yaml.safe_load_all(file.read_text()):
                resource = f"{each['kind'].lower()}s"
                self.apply(resource, each["metadata"].get("namespace", ""), each)


def _status(body: bytes) -> Object:
    """A Status, or the plain text of a path that is not served."""
    try:
        found: Object = json.loads(body or b"{}")
    except json.JSONDecodeError:
        return {"message": body.decode(errors="replace").strip()}
    return found


def from_environment() -> Api:
    """As the administrator whom the session's kubeconfig names."""
    cluster, user = access_of(read_kubeconfig())
    return Api(cluster["server"], context_of(cluster, user), user.get("token", ""))
