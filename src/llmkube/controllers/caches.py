"""What the operator keeps in memory of the cluster, and the indexes by which one object leads to another.

Reconcilers read nothing else, but before bytes are taken away (ModelCollection) and before something of a name that is
not known is made (InferenceAccessories). Jobs, pods, EndpointSlices and what stands beside a service are narrowed to
what the operator made; claims may be somebody's own, and a Deployment or a Service that is somebody's own must be seen,
to be left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import msgspec

from llmkube.controllers.indexes import (
    MODEL_INDEXES,
    POD_INDEXES,
    SERVICE_INDEXES,
    behind,
    by_mounts,
    by_service,
    by_target,
    bytes_of,
    has_ended,
    labelled,
    models_of,
    served,
    serves,
)
from llmkube.desired.damage import could_not_read
from llmkube.desired.labels import MODEL as MODEL_LABEL
from llmkube.desired.labels import NAME
from llmkube.desired.labels import SERVICE as SERVICE_LABEL
from llmkube.desired.naming import child_name
from llmkube.kube.informer import Informer
from llmkube.kube.kinds import (
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    ENDPOINT_SLICE,
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    INGRESS,
    JOB,
    MODEL,
    NETWORK_POLICY,
    POD,
    POD_MONITOR,
    PVC,
    SERVICE,
    Key,
    Kind,
    key_of,
)
from llmkube.runtime.watches import owner_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.kube import objects
    from llmkube.kube.client import Client

MADE_BY_US = f"{NAME}=llmkube"


@dataclass(frozen=True, slots=True)
class Caches:
    """One informer for each kind."""

    models: Informer[objects.CustomResource]
    inference_services: Informer[objects.CustomResource]
    claims: Informer[objects.PersistentVolumeClaim]
    jobs: Informer[objects.Job]
    pods: Informer[objects.Pod]
    deployments: Informer[objects.Deployment]
    services: Informer[objects.Opaque]
    autoscalers: Informer[objects.HorizontalPodAutoscaler]
    endpoints: Informer[objects.EndpointSlice]
    network_policies: Informer[objects.Opaque]
    disruption_budgets: Informer[objects.Opaque]
    ingresses: Informer[objects.Opaque]
    http_routes: Informer[objects.Opaque]
    pod_monitors: Informer[objects.Opaque]

    def accessories(self) -> tuple[Informer[objects.Opaque], ...]:
        """Return the informers of what may stand beside a service, in the order in which it is made."""
        budgets, routes = self.disruption_budgets, (self.ingresses, self.http_routes)
        return (self.network_policies, budgets, *routes, self.pod_monitors)

    def all(self) -> tuple[Informer[Any], ...]:
        """Return every informer, for whoever runs them."""
        return tuple(getattr(self, each.name) for each in fields(self))

    def services_of_model(self, model: objects.Object) -> list[Key]:
        """Return the InferenceServices that refer to a Model."""
        return self.inference_services.store.keys("model", str(key_of(model)))

    def models_of_claim(self, claim: objects.Object) -> list[Key]:
        """Return the Models that keep their bytes in a claim, whoever owns it."""
        return self.models.store.keys("claim", str(key_of(claim)))

    def models_of_service(self, service: objects.CustomResource) -> list[Key]:
        """Return the Models that an InferenceService refers to, whether they are there or not."""
        return [Key(service.metadata.namespace, name) for name in models_of(service)]

    def models_mounted(self, pod: objects.Pod) -> list[Key]:
        """Return the Models that keep their bytes in a claim that a pod mounts."""
        return [key for claim in by_mounts(pod) for key in self.models.store.keys("claim", claim)]

    def models_retaining(self, obj: objects.Pod | objects.Deployment) -> list[Key]:
        """Return the Models that keep bytes of before which a pod or a Deployment may use."""
        return [key for each in served(obj) for key in self.models.store.keys("retained", each)]

    def uses(self, namespace: str, claim: str, sha256: str) -> bool:
        """Whether a pod that has not ended, or a Deployment, serves these bytes out of this claim."""
        key = bytes_of(namespace, claim, sha256)
        is_deployed = any(serves(each, key) for each in self.deployments.store.by_index("served", key))
        return is_deployed or any(serves(each, key) for each in self.pods.store.by_index("served", key))

    def pods_serving(self, namespace: str, claim: str, sha256: str) -> tuple[objects.Pod, ...]:
        """Return the pods that serve these bytes out of this claim, or try to."""
        return tuple(self.pods.store.by_index("served", bytes_of(namespace, claim, sha256)))

    def models_unread(self, pod: objects.Pod) -> list[Key]:
        """Return the Models of the claims of a pod whose engine could not read its file."""
        return self.models_mounted(pod) if could_not_read(pod) else []

    def nodes_of_claim(self, claim: objects.PersistentVolumeClaim) -> tuple[str, ...]:
        """Return the nodes of the pods that mount a claim, in order."""
        pods = self.pods.store.by_index("claim", str(key_of(claim)))
        return tuple(sorted({each.spec.node_name for each in pods if each.spec.node_name and not has_ended(each)}))

    def models_of_pod(self, pod: objects.Object) -> list[Key]:
        """Return the Model that a pod fetches for."""
        return self.models.store.keys("label", labelled(pod, MODEL_LABEL))

    def inference_services_labelled(self, obj: objects.Object) -> list[Key]:
        """Return the InferenceService that a pod, or the endpoints of a Service, are of."""
        return self.inference_services.store.keys("label", labelled(obj, SERVICE_LABEL))

    def pods_of_service(self, service: Key) -> tuple[objects.Pod, ...]:
        """Return the pods of an InferenceService, of whatever roll-out."""
        return tuple(self.pods.store.by_index("service", f"{service.namespace}/{child_name(service.name)}"))

    def answering(self, service: Key) -> int:
        """Return how many pods requests to an InferenceService's Service may go to."""
        slices = self.endpoints.store.by_index("service", f"{service.namespace}/{child_name(service.name)}")
        return len({behind(each) for one in slices for each in one.endpoints or () if each.conditions.ready})

    def autoscalers_of_service(self, service: Key) -> tuple[str, ...]:
        """Return the names of the autoscalers of the Deployment of an InferenceService, KEDA's among them."""
        found = self.autoscalers.store.by_index("target", f"{service.namespace}/{child_name(service.name)}")
        return tuple(each.metadata.name for each in found)

    def inference_services_of_autoscaler(self, autoscaler: objects.HorizontalPodAutoscaler) -> list[Key]:
        """Return the InferenceService whose Deployment an autoscaler scales."""
        return [key for target in by_target(autoscaler) for key in self.inference_services.store.keys("label", target)]

    def kept_from_deployment(self, deployment: objects.Deployment) -> list[Key]:
        """Return the InferenceService whose Deployment's name a Deployment has that is not its own."""
        return self._kept_from(deployment, "label")

    def kept_from_service(self, service: objects.Opaque) -> list[Key]:
        """Return the InferenceService whose Service's name a Service has that is not its own."""
        return self._kept_from(service, "name")

    def _kept_from(self, obj: objects.Object, index: str) -> list[Key]:
        owner = owner_key(obj.metadata, INFERENCE_SERVICE)
        return [key for key in self.inference_services.store.keys(index, str(key_of(obj))) if key != owner]


def caches(client: Client, namespaces: Sequence[str] = ()) -> Caches:
    """Return the informers, not running yet; no namespaces means all."""
    return Caches(
        models=Informer(client, MODEL, namespaces=namespaces, indexes=MODEL_INDEXES),
        inference_services=Informer(client, INFERENCE_SERVICE, namespaces=namespaces, indexes=SERVICE_INDEXES),
        claims=Informer(client, PVC, namespaces=namespaces),
        jobs=Informer(client, JOB, namespaces=namespaces, label_selector=MADE_BY_US),
        pods=Informer(client, POD, namespaces=namespaces, label_selector=MADE_BY_US, indexes=POD_INDEXES),
        deployments=Informer(client, DEPLOYMENT, namespaces=namespaces, indexes={"served": served}),
        services=Informer(client, SERVICE, namespaces=namespaces),
        autoscalers=Informer(client, HPA, namespaces=namespaces, indexes={"target": by_target}),
        endpoints=Informer(
            client,
            ENDPOINT_SLICE,
            namespaces=namespaces,
            label_selector=MADE_BY_US,
            indexes={"service": by_service},
        ),
        network_policies=_ours(client, NETWORK_POLICY, namespaces),
        disruption_budgets=_ours(client, DISRUPTION_BUDGET, namespaces),
        ingresses=_ours(client, INGRESS, namespaces),
        http_routes=_ours(client, HTTP_ROUTE, namespaces, optional=True),
        pod_monitors=_ours(client, POD_MONITOR, namespaces, optional=True),
    )


def _ours(
    client: Client, kind: Kind[objects.Opaque], namespaces: Sequence[str], *, optional: bool = False
) -> Informer[objects.Opaque]:
    return Informer(client, kind, namespaces=namespaces, label_selector=MADE_BY_US, optional=optional)


def with_kind(obj: objects.CustomResource, kind: Kind[objects.CustomResource]) -> objects.CustomResource:
    """Return the object as it says itself what it is: the items of a list do not."""
    return msgspec.structs.replace(obj, api_version=kind.api_version, kind=kind.kind)
