"""The objects that are kept in memory, as frozen msgspec Structs: only fields that somebody reads, decoded once.

What we apply keeps its `spec` as raw JSON, so that a diff sees every field of it; nothing here can be changed in place
(a map is a Mapping to whoever is type-checked).
Nothing here can be in a cycle either (`gc=False`): going through thousands of them again and again, the garbage
collector would find none, and nothing else could run meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads annotations
from typing import cast

import msgspec
from msgspec import Raw, Struct

EMPTY = Raw(b"{}")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class OwnerReference(Struct, frozen=True, gc=False, rename="camel"):
    """Who owns an object."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Struct, frozen=True, gc=False, rename="camel"):
    """metadata, without managedFields and without kubectl's copy of the whole object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None

    def __post_init__(self) -> None:
        """Before anybody else has seen it."""
        if LAST_APPLIED in self.annotations:
            cast("dict[str, str]", self.annotations).pop(LAST_APPLIED)


class Object(Struct, frozen=True, gc=False, rename="camel"):
    """What every object has."""

    metadata: ObjectMeta = ObjectMeta()
    api_version: str = ""
    kind: str = ""


class Opaque(Object, frozen=True, rename="camel"):
    """An object whose spec and status nobody here interprets."""

    spec: Raw = EMPTY
    status: Raw = EMPTY


class CustomResource(Opaque, frozen=True, rename="camel"):
    """A Model or an InferenceService: api/ reads its spec and status."""


class Condition(Struct, frozen=True, gc=False, rename="camel"):
    """One condition of any object."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class DeploymentStatus(Struct, frozen=True, gc=False, rename="camel"):
    """What the deployment controller observed."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class Deployment(Object, frozen=True, rename="camel"):
    spec: Raw = EMPTY
    status: DeploymentStatus = DeploymentStatus()


class JobStatus(Struct, frozen=True, gc=False, rename="camel"):
    """What the job controller observed."""

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    conditions: tuple[Condition, ...] = ()


class Job(Object, frozen=True, rename="camel"):
    spec: Raw = EMPTY
    status: JobStatus = JobStatus()


class PersistentVolumeClaimStatus(Struct, frozen=True, gc=False, rename="camel"):
    phase: str = ""


class PersistentVolumeClaim(Object, frozen=True, rename="camel"):
    spec: Raw = EMPTY
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()


class Data(Object, frozen=True, rename="camel"):
    """A Secret or a ConfigMap; `binary_data` is a ConfigMap's only."""

    data: Mapping[str, str] = {}
    binary_data: Mapping[str, str] = {}


class ContainerStateWaiting(Struct, frozen=True, gc=False, rename="camel"):
    reason: str = ""
    message: str = ""


class ContainerStateRunning(Struct, frozen=True, gc=False, rename="camel"):
    started_at: str | None = None


class ContainerStateTerminated(Struct, frozen=True, gc=False, rename="camel"):
    exit_code: int = 0
    reason: str = ""
    message: str = ""


class ContainerState(Struct, frozen=True, gc=False, rename="camel"):
    """At most one of the three is set."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(Struct, frozen=True, gc=False, rename="camel"):
    name: str
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class ClaimSource(Struct, frozen=True, gc=False, rename="camel"):
    claim_name: str = ""


class Volume(Struct, frozen=True, gc=False, rename="camel"):
    """A volume of a pod; only claims are told."""

    name: str = ""
    persistent_volume_claim: ClaimSource | None = None


class PodSpec(Struct, frozen=True, gc=False, rename="camel"):
    node_name: str = ""
    volumes: tuple[Volume, ...] = ()


class PodStatus(Struct, frozen=True, gc=False, rename="camel"):
    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    conditions: tuple[Condition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Object, frozen=True, rename="camel"):
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class EndpointConditions(Struct, frozen=True, gc=False, rename="camel"):
    """What is left out may be taken as ready (discovery/v1)."""

    ready: bool | None = True


class TargetRef(Struct, frozen=True, gc=False, rename="camel"):
    """The pod behind an endpoint."""

    name: str = ""
    uid: str = ""


class Endpoint(Struct, frozen=True, gc=False, rename="camel"):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    target_ref: TargetRef | None = None


class EndpointSlice(Object, frozen=True, rename="camel"):
    """Where the requests to a Service may go; `endpoints` may be null."""

    endpoints: tuple[Endpoint, ...] | None = ()


class ScaleTarget(Struct, frozen=True, gc=False, rename="camel"):
    """What an autoscaler scales; it is in the autoscaler's own namespace."""

    api_version: str = ""
    kind: str = ""
    name: str = ""


class HorizontalPodAutoscalerSpec(Struct, frozen=True, gc=False, rename="camel"):
    scale_target_ref: ScaleTarget = ScaleTarget()


class HorizontalPodAutoscaler(Object, frozen=True, rename="camel"):
    spec: HorizontalPodAutoscalerSpec = HorizontalPodAutoscalerSpec()


class LeaseSpec(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(Object, frozen=True, rename="camel"):
    spec: LeaseSpec = LeaseSpec()
