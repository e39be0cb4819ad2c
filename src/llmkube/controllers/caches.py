"""What the operator keeps in memory of the cluster, and the indexes by which one object leads to another.

Reconcilers read nothing else, but before bytes are taken away (ModelCollection). Jobs, pods and EndpointSlices are
narrowed to what the operator made; claims may be somebody's own, and a Deployment or a Service that is somebody's own
must be seen, to be left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import msgspec

from llmkube.api.model import ModelSpec
from llmkube.desired.cache import claim_name
from llmkube.desired.damage import could_not_read
from llmkube.desired.labels import MODEL as MODEL_LABEL
from llmkube.desired.labels import NAME
from llmkube.desired.labels import SERVICE as SERVICE_LABEL
from llmkube.desired.model_volume import MODEL_DIGEST
from llmkube.desired.naming import child_name
from llmkube.desired.reading import spec_of
from llmkube.kube import objects
from llmkube.kube.informer import Informer
from llmkube.kube.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HPA,
    INFERENCE_SERVICE,
    JOB,
    MODEL,
    POD,
    PVC,
    SERVICE,
    Key,
    Kind,
    key_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmkube.kube.client import Client

MADE_BY_US = f"{NAME}=llmkube"


class _Reference(msgspec.Struct, rename="camel"):
    model_ref: str = ""


class _Entry(msgspec.Struct):
    sha256: str = ""
    claim: str = ""


class _Status(msgspec.Struct):
    retained: tuple[_Entry, ...] = ()


class _Templated(msgspec.Struct):
    template: objects.Pod = objects.Pod()


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

    def all(self) -> tuple[Informer[Any], ...]:
        """Return every informer, for whoever runs them."""
        return tuple(getattr(self, each.name) for each in fields(self))

    def services_of_model(self, model: objects.Object) -> list[Key]:
        """Return the InferenceServices that refer to a Model."""
        found = self.inference_services.store.by_index("model", str(key_of(model)))
        return [key_of(each) for each in found]

    def models_of_claim(self, claim: objects.Object) -> list[Key]:
        """Return the Models that keep their bytes in a claim, whoever owns it."""
        return [key_of(each) for each in self.models.store.by_index("claim", str(key_of(claim)))]

    def model_of_service(self, service: objects.CustomResource) -> list[Key]:
        """Return the Model that an InferenceService refers to, whether it is there or not."""
        return [Key(service.metadata.namespace, name) for name in _models_of(service)]

    def models_mounted(self, pod: objects.Pod) -> list[Key]:
        """Return the Models that keep their bytes in a claim that a pod mounts."""
        return [key_of(each) for claim in _by_mounts(pod) for each in self.models.store.by_index("claim", claim)]

    def models_retaining(self, obj: objects.Pod | objects.Deployment) -> list[Key]:
        """Return the Models that keep bytes of before which a pod or a Deployment may use."""
        found = (self.models.store.by_index("retained", each) for each in _served(obj))
        return [key_of(each) for models in found for each in models]

    def uses(self, namespace: str, claim: str, sha256: str) -> bool:
        """Whether a pod that has not ended, or a Deployment, serves these bytes out of this claim."""
        key = _bytes(namespace, claim, sha256)
        pods = self.pods.store.by_index("served", key)
        return bool(self.deployments.store.by_index("served", key)) or serves(pods, namespace, claim, sha256)

    def pods_serving(self, namespace: str, claim: str, sha256: str) -> tuple[objects.Pod, ...]:
        """Return the pods that serve these bytes out of this claim, or try to."""
        return tuple(self.pods.store.by_index("served", _bytes(namespace, claim, sha256)))

    def models_unread(self, pod: objects.Pod) -> list[Key]:
        """Return the Models of the claims of a pod whose engine could not read its file."""
        return self.models_mounted(pod) if could_not_read(pod) else []

    def is_rolling_out(self, namespace: str) -> bool:
        """Whether a Deployment of ours has pods of before: it says so itself, also where its pods were not seen yet.

        Of the whole namespace: what it rolls away from may be in another claim than what it rolls to.
        """
        found = self.deployments.store.list()
        return any(each.metadata.namespace == namespace and _has_pods_of_before(each) for each in found)

    def nodes_of_claim(self, claim: objects.PersistentVolumeClaim) -> tuple[str, ...]:
        """Return the nodes of the pods that mount a claim, in order."""
        pods = self.pods.store.by_index("claim", str(key_of(claim)))
        return tuple(sorted({each.spec.node_name for each in pods if each.spec.node_name and not _has_ended(each)}))

    def models_of_pod(self, pod: objects.Object) -> list[Key]:
        """Return the Model that a pod fetches for."""
        return [key_of(each) for each in self.models.store.by_index("label", _labelled(pod, MODEL_LABEL))]

    def inference_services_labelled(self, obj: objects.Object) -> list[Key]:
        """Return the InferenceService that a pod, or the endpoints of a Service, are of."""
        found = self.inference_services.store.by_index("label", _labelled(obj, SERVICE_LABEL))
        return [key_of(each) for each in found]

    def pods_of_service(self, service: Key) -> tuple[objects.Pod, ...]:
        """Return the pods of an InferenceService, of whatever roll-out."""
        return tuple(self.pods.store.by_index("service", f"{service.namespace}/{child_name(service.name)}"))

    def answering(self, service: Key) -> int:
        """Return how many pods requests to an InferenceService's Service may go to."""
        slices = self.endpoints.store.by_index("service", f"{service.namespace}/{child_name(service.name)}")
        return len({_behind(each) for one in slices for each in one.endpoints or () if each.conditions.ready})

    def autoscalers_of_service(self, service: Key) -> tuple[str, ...]:
        """Return the names of the autoscalers of the Deployment of an InferenceService, KEDA's among them."""
        found = self.autoscalers.store.by_index("target", f"{service.namespace}/{child_name(service.name)}")
        return tuple(each.metadata.name for each in found)

    def inference_services_of_autoscaler(self, autoscaler: objects.HorizontalPodAutoscaler) -> list[Key]:
        """Return the InferenceService whose Deployment an autoscaler scales."""
        targets = _by_target(autoscaler)
        return [key_of(each) for target in targets for each in self.inference_services.store.by_index("label", target)]


def caches(client: Client, namespaces: Sequence[str] = ()) -> Caches:
    """Return the informers, not running yet; no namespaces means all."""
    return Caches(
        models=Informer(client, MODEL, namespaces=namespaces, indexes=MODEL_INDEXES),
        inference_services=Informer(
            client, INFERENCE_SERVICE, namespaces=namespaces, indexes={"label": _by_label, "model": _by_model}
        ),
        claims=Informer(client, PVC, namespaces=namespaces),
        jobs=Informer(client, JOB, namespaces=namespaces, label_selector=MADE_BY_US),
        pods=Informer(client, POD, namespaces=namespaces, label_selector=MADE_BY_US, indexes=POD_INDEXES),
        deployments=Informer(client, DEPLOYMENT, namespaces=namespaces, indexes={"served": _served}),
        services=Informer(client, SERVICE, namespaces=namespaces),
        autoscalers=Informer(client, HPA, namespaces=namespaces, indexes={"target": _by_target}),
        endpoints=Informer(
            client,
            ENDPOINT_SLICE,
            namespaces=namespaces,
            label_selector=MADE_BY_US,
            indexes={"service": _by_service},
        ),
    )


def serves(pods: Iterable[objects.Pod], namespace: str, claim: str, sha256: str) -> bool:
    """Whether a pod of these that has not ended serves these bytes out of this claim."""
    key = _bytes(namespace, claim, sha256)
    return any(key in _served(each) for each in pods if not _has_ended(each))


def with_kind(obj: objects.CustomResource, kind: Kind[objects.CustomResource]) -> objects.CustomResource:
    """Return the object as it says itself what it is: the items of a list do not."""
    return msgspec.structs.replace(obj, api_version=kind.api_version, kind=kind.kind)


def _by_label(obj: objects.Object) -> Iterable[str]:
    """By the label's value that the operator gives to what it makes for the object."""
    return (f"{obj.metadata.namespace}/{child_name(obj.metadata.name)}",)


def _by_service(obj: objects.Object) -> Iterable[str]:
    """A Service's EndpointSlices have its labels."""
    return (_labelled(obj, SERVICE_LABEL),)


def _behind(endpoint: objects.Endpoint) -> str:
    """One pod may be in several slices: one for each family of addresses."""
    return endpoint.target_ref.uid if endpoint.target_ref else ",".join(endpoint.addresses)


def _by_model(service: objects.CustomResource) -> Iterable[str]:
    return tuple(str(Key(service.metadata.namespace, name)) for name in _models_of(service))


def _models_of(service: objects.CustomResource) -> Iterable[str]:
    """A spec that is no InferenceService refers to nothing."""
    try:
        return (msgspec.json.decode(service.spec, type=_Reference).model_ref,)
    except msgspec.MsgspecError:
        return ()


def _by_target(autoscaler: objects.HorizontalPodAutoscaler) -> Iterable[str]:
    """By the Deployment; an autoscaler of the InferenceService itself is a person to us."""
    target = autoscaler.spec.scale_target_ref
    is_deployment = target.api_version.partition("/")[0] == DEPLOYMENT.group and target.kind == DEPLOYMENT.kind
    return (f"{autoscaler.metadata.namespace}/{target.name}",) if is_deployment else ()


def _by_claim(model: objects.CustomResource) -> Iterable[str]:
    spec = spec_of(model, ModelSpec)
    name = claim_name(spec, model.metadata.name) if isinstance(spec, ModelSpec) else None
    return (str(Key(model.metadata.namespace, name)),) if name else ()


def _by_retained(model: objects.CustomResource) -> Iterable[str]:
    try:
        kept = msgspec.json.decode(model.status, type=_Status).retained
    except msgspec.MsgspecError:
        return ()
    return {_bytes(model.metadata.namespace, each.claim, each.sha256) for each in kept}


def _by_mounts(pod: objects.Pod) -> Iterable[str]:
    claims = (volume.persistent_volume_claim for volume in pod.spec.volumes)
    return {str(Key(pod.metadata.namespace, each.claim_name)) for each in claims if each is not None}


def _served(obj: objects.Pod | objects.Deployment) -> Iterable[str]:
    """By the bytes that a pod, or the pods of a Deployment, were rendered for, and the claims that they may be in."""
    pod = _template(obj) if isinstance(obj, objects.Deployment) else obj
    digest = pod.metadata.annotations.get(MODEL_DIGEST) if pod else None
    if pod is None or digest is None:
        return ()
    claims = (volume.persistent_volume_claim for volume in pod.spec.volumes)
    return {_bytes(obj.metadata.namespace, each.claim_name, digest) for each in claims if each is not None}


def _template(deployment: objects.Deployment) -> objects.Pod | None:
    if deployment.metadata.labels.get(NAME) != "llmkube":
        return None
    try:
        return msgspec.json.decode(deployment.spec, type=_Templated).template
    except msgspec.MsgspecError:
        return None


def _has_pods_of_before(deployment: objects.Deployment) -> bool:
    if deployment.metadata.labels.get(NAME) != "llmkube":
        return False
    status = deployment.status
    is_seen = status.observed_generation >= deployment.metadata.generation
    return not is_seen or status.updated_replicas < status.replicas


def _bytes(namespace: str, claim: str, sha256: str) -> str:
    return f"{namespace}/{claim}/{sha256}"


def _has_ended(pod: objects.Pod) -> bool:
    return pod.status.phase in {"Succeeded", "Failed"}


def _labelled(obj: objects.Object, label: str) -> str:
    return f"{obj.metadata.namespace}/{obj.metadata.labels.get(label, '')}"


MODEL_INDEXES = {"label": _by_label, "claim": _by_claim, "retained": _by_retained}
POD_INDEXES = {"service": _by_service, "served": _served, "claim": _by_mounts}
