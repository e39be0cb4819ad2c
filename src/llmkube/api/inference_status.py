"""What was observed of an InferenceService, and what was decided for it."""

# ruff: noqa: TC001 - pydantic reads annotations at run time
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from llmkube.api.conditions import Conditions
from llmkube.api.fields import LIST_ATOMIC, Bytes, Count, Line, Record, Timestamp

InferencePhase = Literal[
    "Pending", "WaitingForModel", "WaitingForGPU", "Creating", "Progressing", "Ready", "Stopped", "Failed"
]
_PerGPU = Annotated[tuple[Bytes, ...], Field(max_length=64, json_schema_extra=LIST_ATOMIC)]
_Shares = Annotated[tuple[float, ...], Field(max_length=64, json_schema_extra=LIST_ATOMIC)]


class PlanMemory(Record):
    """Memory that one pod needs, in bytes."""

    gpu: _PerGPU = ()
    """On each GPU."""
    host: Bytes
    """On the host."""


class Plan(Record):
    """What was decided for the engine, and why it fits."""

    context_size: Count
    """Tokens of context, over all slots."""
    gpu_layers: Count
    """Layers on GPUs."""
    total_layers: Count
    """Layers of the model, with the output layer."""
    memory: PlanMemory | None = None
    """Memory that one pod needs."""
    tensor_split: _Shares | None = None
    """Share of each GPU, as llama-server's --tensor-split: layers of the model, or parts of each matrix."""
    message: Line | None = None
    """Why it fits: what each GPU holds of what it has, or what is not known."""


class Offload(Record):
    """Layers on GPUs: what was planned and what the engine reports."""

    planned: Count
    """Layers that the plan puts on GPUs."""
    observed: Count | None = None
    """Layers that the engine says it put there."""


class InferenceServiceStatus(Record):
    """What was observed."""

    phase: InferencePhase | None = None
    """One word for where the service is: Pending, WaitingForModel, WaitingForGPU, Creating, Progressing, Ready,
    Stopped or Failed."""
    ready_replicas: Count | None = None
    """Pods that answer."""
    desired_replicas: Count | None = None
    """Pods that there should be."""
    endpoint: Annotated[str, Field(max_length=2048)] | None = None
    """URL of the OpenAI-compatible endpoint, as pods of the cluster reach it."""
    external_endpoint: Annotated[str, Field(max_length=2048)] | None = None
    """URL from outside of the cluster: by the route's first host, or the load balancer's address."""
    model_ready: bool | None = None
    """Whether the Model's verified bytes are in the cache."""
    last_updated: Timestamp | None = None
    """When the status last changed."""
    replicas: Count | None = None
    """Pods that there are; what /scale reports."""
    selector: Annotated[str, Field(max_length=2048)] | None = None
    """Selector of the pods; what /scale reports."""
    observed_generation: Bytes | None = None
    """The metadata.generation that this status is about."""
    plan: Plan | None = None
    """What was decided for the engine, and why it fits."""
    offload: Offload | None = None
    """Layers on GPUs: planned and observed."""
    conditions: Conditions = ()
    """ModelReady, Autoscaled, Scheduled, Available, Progressing, Degraded."""
