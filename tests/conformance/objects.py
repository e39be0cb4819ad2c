"""What the conformance tests create: paths of one namespace, small objects, and a definition of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

GROUP = "conformance.llmkube.dev"
WIDGETS = f"widgets.{GROUP}"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of one namespace's collections."""

    namespace: str

    def _in(self, api: str, plural: str) -> str:
        return f"{api}/namespaces/{self.namespace}/{plural}"

    @property
    def configmaps(self) -> str:
        return self._in("/api/v1", "configmaps")

    @property
    def pods(self) -> str:
        return self._in("/api/v1", "pods")

    @property
    def networkpolicies(self) -> str:
        return self._in("/apis/networking.k8s.io/v1", "networkpolicies")

    @property
    def services(self) -> str:
        return self._in("/api/v1", "services")

    @property
    def secrets(self) -> str:
        return self._in("/api/v1", "secrets")

    @property
    def events(self) -> str:
        return self._in("/api/v1", "events")

    @property
    def new_events(self) -> str:
        return self._in("/apis/events.k8s.io/v1", "events")

    @property
    def deployments(self) -> str:
        return self._in("/apis/apps/v1", "deployments")

    @property
    def widgets(self) -> str:
        return self._in(f"/apis/{GROUP}/v1", "widgets")

    @property
    def gauges(self) -> str:
        return self._in(f"/apis/{GROUP}/v1", "gauges")

    @property
    def models(self) -> str:
        return self._in("/apis/inference.llmkube.dev/v1alpha1", "models")

    @property
    def inferenceservices(self) -> str:
        return self._in("/apis/inference.llmkube.dev/v1alpha1", "inferenceservices")


def config_map(name: str, data: Object | None = None, **meta: Any) -> Object:
    found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}}
    return {**found, **({"data": data} if data is not None else {})}


def widget(name: str, spec: Object | None = None, **meta: Any) -> Object:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Widget",
        "metadata": {"name": name, **meta},
        "spec": {} if spec is None else spec,
    }


def model(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": name},
        "spec": {"source": "https://models.example/tiny.gguf", **spec},
    }


def inference_service(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"modelRef": "tiny", **spec},
    }


def container(name: str = "main", **more: Any) -> Object:
    return {"name": name, "image": "conformance.invalid/nothing:1", **more}


def pod(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container()], **spec},
    }


def deployment(name: str, **spec: Any) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container()]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


SPEC: Object = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10, "default": 3},
        "ratio": {"type": "number"},
        "mode": {"type": "string", "enum": ["fast", "slow"]},
        "code": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 4},
        "on": {"type": "boolean"},
        "port": {"x-kubernetes-int-or-string": True},
        "note": {"type": "string", "nullable": True},
        "tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "steps": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "labels": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "fixed": {
            "type": "integer",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed never changes"}],
        },
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "count": {"type": "integer", "default": 1},
                    "colour": {"type": "string"},
                },
            },
        },
        "nested": {
            "type": "object",
            "required": ["must"],
            "properties": {"must": {"type": "string"}, "depth": {"type": "integer", "default": 7}},
        },
    },
}
STATUS: Object = {
    "type": "object",
    "properties": {
        "phase": {"type": "string", "enum": ["Good", "Bad"]},
        "replicas": {"type": "integer"},
        "selector": {"type": "string"},
    },
}


def definition(plural: str = "widgets", kind: str = "Widget", group: str = GROUP) -> Object:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": STATUS}}},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.size",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "selectableFields": [{"jsonPath": ".spec.mode"}],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [version],
        },
    }
