"""By what the objects in memory are found: pure functions of one object, each to the values of one index.

What cannot be read is found by nothing, never an error: an informer's store must take whatever a cluster has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmkube.api.model import ModelSpec
from llmkube.desired.adapters import adapter_name
from llmkube.desired.cache import claim_name
from llmkube.desired.labels import NAME
from llmkube.desired.labels import SERVICE as SERVICE_LABEL
from llmkube.desired.model_volume import used
from llmkube.desired.naming import child_name
from llmkube.desired.reading import spec_of
from llmkube.desired.service import service_name
from llmkube.kube import objects
from llmkube.kube.errors import UNREADABLE
from llmkube.kube.kinds import DEPLOYMENT, Key

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Draft(msgspec.Struct, rename="camel"):
    draft_model_ref: str = ""


class _Adapter(msgspec.Struct):
    name: str = ""


class _References(msgspec.Struct, rename="camel"):
    model_ref: str = ""
    speculative: _Draft | None = None
    lora_adapters: tuple[_Adapter, ...] = ()


class _Entry(msgspec.Struct):
    sha256: str = ""
    claim: str = ""


class _Status(msgspec.Struct):
    retained: tuple[_Entry, ...] = ()


class _Templated(msgspec.Struct):
    template: objects.Pod = objects.Pod()


def by_label(obj: objects.Object) -> Iterable[str]:
    """By the label's value that the operator gives to what it makes for the object."""
    return (f"{obj.metadata.namespace}/{child_name(obj.metadata.name)}",)


def by_service_name(service: objects.CustomResource) -> Iterable[str]:
    """By the name that its Service has: a DNS label, which other names are not."""
    return (f"{service.metadata.namespace}/{service_name(service.metadata.name)}",)


def by_service(obj: objects.Object) -> Iterable[str]:
    """A Service's EndpointSlices have its labels."""
    return (labelled(obj, SERVICE_LABEL),)


def behind(endpoint: objects.Endpoint) -> str:
    """One pod may be in several slices: one for each family of addresses."""
    return endpoint.target_ref.uid if endpoint.target_ref else ",".join(endpoint.addresses)


def by_model(service: objects.CustomResource) -> Iterable[str]:
    return tuple(str(Key(service.metadata.namespace, name)) for name in models_of(service))


def models_of(service: objects.CustomResource) -> Iterable[str]:
    """Its own, its draft and those of its adapters; a spec that is no InferenceService refers to nothing."""
    try:
        found = msgspec.json.decode(service.spec, type=_References)
    except UNREADABLE:
        return ()
    draft = (found.speculative.draft_model_ref,) if found.speculative else ()
    return {found.model_ref, *draft, *(adapter_name(service.metadata.name, each.name) for each in found.lora_adapters)}


def by_target(autoscaler: objects.HorizontalPodAutoscaler) -> Iterable[str]:
    """By the Deployment; an autoscaler of the InferenceService itself is a person to us."""
    target = autoscaler.spec.scale_target_ref
    is_deployment = target.api_version.partition("/")[0] == DEPLOYMENT.group and target.kind == DEPLOYMENT.kind
    return (f"{autoscaler.metadata.namespace}/{target.name}",) if is_deployment else ()


def by_claim(model: objects.CustomResource) -> Iterable[str]:
    spec = spec_of(model, ModelSpec)
    name = claim_name(spec, model.metadata.name) if isinstance(spec, ModelSpec) else None
    return (str(Key(model.metadata.namespace, name)),) if name else ()


def by_retained(model: objects.CustomResource) -> Iterable[str]:
    try:
        kept = msgspec.json.decode(model.status, type=_Status).retained
    except UNREADABLE:
        return ()
    return {bytes_of(model.metadata.namespace, each.claim, each.sha256) for each in kept}


def by_mounts(pod: objects.Pod) -> Iterable[str]:
    namespace, claims = pod.metadata.namespace, _claims(pod)
    return {f"{namespace}/{each}" for each in claims.values()} if claims else ()


def _claims(pod: objects.Pod) -> dict[str, str]:
    """By the names of the volumes."""
    return {each.name: found.claim_name for each in pod.spec.volumes if (found := each.persistent_volume_claim)}


def served(obj: objects.Pod | objects.Deployment) -> Iterable[str]:
    """By the bytes that a pod, or the pods of a Deployment, were rendered for, and the claims that they are in."""
    pod = _template(obj) if isinstance(obj, objects.Deployment) else obj
    places = used(pod.metadata.annotations) if pod else None
    if pod is None or not places:
        return ()
    claims = _claims(pod)
    return {bytes_of(obj.metadata.namespace, claims[volume], digest) for volume, digest in places if volume in claims}


def serves(user: objects.Pod | objects.Deployment, key: str) -> bool:
    """Whether a Deployment, or a pod that has not ended, serves these bytes (`bytes_of`)."""
    return key in served(user) and (isinstance(user, objects.Deployment) or not has_ended(user))


def use_of(pod: objects.Pod) -> tuple[object, ...]:
    """All that `serves` looks at: while it stays, whoever keeps those bytes need not look again."""
    return pod.metadata.annotations, pod.spec.volumes, has_ended(pod)


def _template(deployment: objects.Deployment) -> objects.Pod | None:
    if deployment.metadata.labels.get(NAME) != "llmkube":
        return None
    try:
        return msgspec.json.decode(deployment.spec, type=_Templated).template
    except UNREADABLE:
        return None


def mount_of(pod: objects.Pod) -> tuple[objects.PodSpec, bool]:
    """All by which a pod keeps a claim on its node: one that has ended keeps its spec, and lets the claim go."""
    return pod.spec, has_ended(pod)


def has_pods_of_before(deployment: objects.Deployment) -> bool:
    if deployment.metadata.labels.get(NAME) != "llmkube":
        return False
    status = deployment.status
    is_seen = status.observed_generation >= deployment.metadata.generation
    return not is_seen or status.updated_replicas < status.replicas


def bytes_of(namespace: str, claim: str, sha256: str) -> str:
    return f"{namespace}/{claim}/{sha256}"


def has_ended(pod: objects.Pod) -> bool:
    return pod.status.phase in {"Succeeded", "Failed"}


def labelled(obj: objects.Object, label: str) -> str:
    return f"{obj.metadata.namespace}/{obj.metadata.labels.get(label, '')}"


def answering_for(obj: objects.EndpointSlice) -> tuple[str, tuple[objects.Endpoint, ...]] | None:
    """Return whose endpoints they are and which; None without any, as every Service has at first."""
    return (labelled(obj, SERVICE_LABEL), obj.endpoints) if obj.endpoints else None


SERVICE_INDEXES = {"label": by_label, "name": by_service_name, "model": by_model}
MODEL_INDEXES = {"label": by_label, "claim": by_claim, "retained": by_retained}
POD_INDEXES = {"service": by_service, "served": served, "claim": by_mounts}
