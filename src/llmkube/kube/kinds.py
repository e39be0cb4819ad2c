"""The kinds that are read and written: where each lives in the API, and the Struct that its objects decode into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import quote

from llmkube.kube import objects

T = TypeVar("T", bound=objects.Object)


class Key(NamedTuple):
    """What names an object within its kind; the namespace is empty when the kind is cluster-scoped."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True)
class Kind(Generic[T]):
    """One kind at one version."""

    group: str
    version: str
    kind: str
    plural: str
    type: type[T]
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`deployments.apps`, or `pods` for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Return the URL path of the collection, of an object, or of a subresource of it."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/" + "/".join(parts)


def _custom(kind: str, plural: str) -> Kind[objects.CustomResource]:
    return Kind("inference.llmkube.dev", "v1alpha1", kind, plural, objects.CustomResource)


MODEL = _custom("Model", "models")
INFERENCE_SERVICE = _custom("InferenceService", "inferenceservices")
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", objects.Deployment)
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets", objects.Opaque)
POD = Kind("", "v1", "Pod", "pods", objects.Pod)
JOB = Kind("batch", "v1", "Job", "jobs", objects.Job)
SERVICE = Kind("", "v1", "Service", "services", objects.Opaque)
PVC = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", objects.PersistentVolumeClaim)
SECRET = Kind("", "v1", "Secret", "secrets", objects.Data)
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", objects.Data)
NODE = Kind("", "v1", "Node", "nodes", objects.Opaque, namespaced=False)
NAMESPACE = Kind("", "v1", "Namespace", "namespaces", objects.Opaque, namespaced=False)
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases", objects.Lease)
HPA = Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", objects.HorizontalPodAutoscaler)
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", objects.Opaque)
INGRESS = Kind("networking.k8s.io", "v1", "Ingress", "ingresses", objects.Opaque)
DISRUPTION_BUDGET = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", objects.Opaque)
HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", objects.Opaque)
POD_MONITOR = Kind("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors", objects.Opaque)
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", objects.EndpointSlice)
EVENT = Kind("events.k8s.io", "v1", "Event", "events", objects.Opaque)


def key_of(obj: objects.Object) -> Key:
    """Return the key of an object."""
    return Key(obj.metadata.namespace, obj.metadata.name)
