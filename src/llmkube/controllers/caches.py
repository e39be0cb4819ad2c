"""What the operator keeps in memory of the cluster, and the indexes by which one object leads to another.

Reconcilers read nothing else. Jobs and pods are narrowed to what the operator made; claims may be somebody's own, and a
Deployment or a Service that is somebody's own must be seen, to be left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import msgspec

from llmkube.api.model import ModelSpec
from llmkube.desired.cache import claim_name
from llmkube.desired.labels import MODEL as MODEL_LABEL
from llmkube.desired.labels import NAME
from llmkube.desired.labels import SERVICE as SERVICE_LABEL
from llmkube.desired.naming import child_name
from llmkube.desired.reading import spec_of
from llmkube.kube.informer import Informer
from llmkube.kube.kinds import DEPLOYMENT, HPA, INFERENCE_SERVICE, JOB, MODEL, POD, PVC, SERVICE, Key, Kind, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmkube.kube import objects
    from llmkube.kube.client import Client

MADE_BY_US = f"{NAME}=llmkube"


class _Reference(msgspec.Struct, rename="camel"):
    model_ref: str = ""


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

    def models_of_pod(self, pod: objects.Object) -> list[Key]:
        """Return the Model that a pod fetches for."""
        return [key_of(each) for each in self.models.store.by_index("label", _labelled(pod, MODEL_LABEL))]

    def inference_services_of_pod(self, pod: objects.Object) -> list[Key]:
        """Return the InferenceService that a pod serves."""
        found = self.inference_services.store.by_index("label", _labelled(pod, SERVICE_LABEL))
        return [key_of(each) for each in found]

    def pods_of_service(self, service: Key) -> tuple[objects.Pod, ...]:
        """Return the pods of an InferenceService, of whatever roll-out."""
        return tuple(self.pods.store.by_index("service", f"{service.namespace}/{child_name(service.name)}"))

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
        models=Informer(client, MODEL, namespaces=namespaces, indexes={"label": _by_label, "claim": _by_claim}),
        inference_services=Informer(
            client, INFERENCE_SERVICE, namespaces=namespaces, indexes={"label": _by_label, "model": _by_model}
        ),
        claims=Informer(client, PVC, namespaces=namespaces),
        jobs=Informer(client, JOB, namespaces=namespaces, label_selector=MADE_BY_US),
        pods=Informer(client, POD, namespaces=namespaces, label_selector=MADE_BY_US, indexes={"service": _by_service}),
        deployments=Informer(client, DEPLOYMENT, namespaces=namespaces),
        services=Informer(client, SERVICE, namespaces=namespaces),
        autoscalers=Informer(client, HPA, namespaces=namespaces, indexes={"target": _by_target}),
    )


def with_kind(obj: objects.CustomResource, kind: Kind[objects.CustomResource]) -> objects.CustomResource:
    """Return the object as it says itself what it is: the items of a list do not."""
    return msgspec.structs.replace(obj, api_version=kind.api_version, kind=kind.kind)


def _by_label(obj: objects.Object) -> Iterable[str]:
    """By the label's value that the operator gives to what it makes for the object."""
    return (f"{obj.metadata.namespace}/{child_name(obj.metadata.name)}",)


def _by_service(pod: objects.Pod) -> Iterable[str]:
    return (_labelled(pod, SERVICE_LABEL),)


def _by_model(service: objects.CustomResource) -> Iterable[str]:
    """A spec that is no InferenceService refers to nothing."""
    try:
        reference = msgspec.json.decode(service.spec, type=_Reference)
    except msgspec.MsgspecError:
        return ()
    return (str(Key(service.metadata.namespace, reference.model_ref)),)


def _by_target(autoscaler: objects.HorizontalPodAutoscaler) -> Iterable[str]:
    """By the Deployment; an autoscaler of the InferenceService itself is a person to us."""
    target = autoscaler.spec.scale_target_ref
    is_deployment = target.api_version.partition("/")[0] == DEPLOYMENT.group and target.kind == DEPLOYMENT.kind
    return (f"{autoscaler.metadata.namespace}/{target.name}",) if is_deployment else ()


def _by_claim(model: objects.CustomResource) -> Iterable[str]:
    spec = spec_of(model, ModelSpec)
    name = claim_name(spec, model.metadata.name) if isinstance(spec, ModelSpec) else None
    return (str(Key(model.metadata.namespace, name)),) if name else ()


def _labelled(obj: objects.Object, label: str) -> str:
    return f"{obj.metadata.namespace}/{obj.metadata.labels.get(label, '')}"
