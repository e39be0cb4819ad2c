"""The InferenceService resource: which Model is served, by how many pods, with which options, and how it does."""

# ruff: noqa: TC001 - pydantic reads annotations at run time
from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from llmkube.api.container import Env, Probes, Strategy
from llmkube.api.endpoint import Endpoint
from llmkube.api.fields import (
    LIST_ATOMIC,
    MAP_ATOMIC,
    DataKey,
    ObjectName,
    Quantity,
    Record,
    SecretName,
    list_map,
)
from llmkube.api.group import API_VERSION
from llmkube.api.inference_rules import INFERENCE_RULES
from llmkube.api.inference_status import InferenceServiceStatus
from llmkube.api.metadata import ObjectMeta
from llmkube.api.network import NetworkAccess
from llmkube.api.options import CacheType, ChatTemplate, LoraAdapter, Reasoning, Speculative
from llmkube.api.rules import Rule
from llmkube.api.scheduling import Affinity, NodeLabels, Tolerations, TopologySpread

_INT32 = {"format": "int32"}
_Batch = Annotated[int, Field(ge=1, le=65536, json_schema_extra=_INT32)]


class InferenceResources(Record):
    """What each pod needs."""

    gpu: Annotated[int, Field(ge=0, le=64, json_schema_extra=_INT32)] | None = None
    """Number of GPUs; by default what the Model says."""
    cpu: Quantity | None = None
    """CPU request, e.g. 2 or 500m."""
    memory: Quantity | None = None
    """Memory request, e.g. 4Gi; raised to what the model needs when it is less."""
    gpu_memory: Quantity | None = None
    """Memory of all GPUs of the pod together, e.g. 16Gi; by default what the Model says of each. The plan fits the
    layers into it."""


class SecretKey(Record):
    """A key of a Secret in the same namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: DataKey = "api-keys"
    """Key of the Secret: a text with one API key a line."""


class Auth(Record):
    """Who may send requests."""

    secret_ref: Annotated[SecretKey, Field(json_schema_extra=MAP_ATOMIC)]
    """Secret with the API keys, mounted as llama-server's --api-key-file. Only /health stays public. Other keys in the
    Secret replace the pods, as the engine reads them once."""
    metrics_key: DataKey | None = None
    """Key of the same Secret with one of the API keys alone and no line end, for a PodMonitor; by default
    secretRef.key, which must then hold one alone."""


class InferenceServiceSpec(Record):
    """What the person asks for."""

    model_ref: ObjectName
    """Name of the Model to serve, in the same namespace."""
    replicas: Annotated[int, Field(ge=0, le=1000, json_schema_extra=_INT32)] = 1
    """Number of pods; 0 means stopped."""
    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^\S+$")] | None = None
    """Image of the engine; by default the operator's image for the Model's accelerator. A tag that ends with a build,
    e.g. -b11669, says which arguments it takes; any other image gets only those that are old."""
    image_pull_secrets: Annotated[tuple[SecretName, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """Secrets with which the images are pulled, on top of the operator's."""
    endpoint: Endpoint = Endpoint()
    """How the service is reached."""
    resources: InferenceResources | None = None
    """What each pod needs; by default what the memory plan says."""

    context_size: Annotated[int, Field(ge=128, le=16777216, json_schema_extra=_INT32)] | None = None
    """Tokens of context, shared by the parallel slots. Never more than the model was trained for."""
    parallel: Annotated[int, Field(ge=1, le=256, json_schema_extra=_INT32)] | None = None
    """Requests that a pod works on at the same time; 1 by default."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    """Flash attention: auto, on or off. Quote it: YAML reads a bare on or off as a boolean."""
    cache_type_k: CacheType | None = None
    """Type of the keys in the KV cache; f16 by default."""
    cache_type_v: CacheType | None = None
    """Type of the values in the KV cache; f16 by default. Quantised types need flash attention."""
    batch_size: _Batch | None = None
    """Tokens of a prompt per logical batch; 2048 by default, where texts are embedded or ranked all that a slot holds.
    """
    ubatch_size: _Batch | None = None
    """Tokens of a prompt per physical batch; 512 by default, where texts are embedded or ranked all that a slot holds.
    """
    threads: Annotated[int, Field(ge=1, le=1024, json_schema_extra=_INT32)] | None = None
    """CPU threads of the engine; by default what the CPU request comes to."""
    mode: Literal["chat", "embedding", "rerank"] = "chat"
    """What the engine serves: chat and completions, embeddings, or reranking."""
    jinja: bool = True
    """Whether the model's Jinja chat template is used; tool calls need it."""
    chat_template_ref: Annotated[ChatTemplate, Field(json_schema_extra=MAP_ATOMIC)] | None = None
    """Chat template in place of the model's own. Another text in the ConfigMap replaces the pods."""
    reasoning: Reasoning | None = None
    """How the model's thinking is treated; by default as the engine finds it in the chat template."""
    speculative: Speculative | None = None
    """A small model that drafts for the large one, with the same vocabulary."""
    lora_adapters: Annotated[tuple[LoraAdapter, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """LoRA adapters to load beside the model. Each is a Model of its own, named after the service and the adapter."""
    extra_args: Annotated[
        tuple[Annotated[str, Field(max_length=1024)], ...], Field(max_length=64, json_schema_extra=LIST_ATOMIC)
    ] = ()
    """Further arguments of llama-server, appended as they are, a word each. Flags that the operator sets itself are
    refused, and so are those that the image's build does not have."""
    env: Env = ()
    """Environment variables of the engine."""

    auth: Auth | None = None
    """Who may send requests; everybody who can connect by default."""
    network_policy: NetworkAccess | None = None
    """Who may connect to the pods, and that they connect to nobody; everybody may where it is left out."""

    node_selector: NodeLabels | None = None
    """Labels that nodes must have."""
    tolerations: Tolerations | None = None
    """Taints that the pods accept, on top of the GPU's own."""
    affinity: Affinity | None = None
    """Where pods may and should run."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""
    topology_spread_constraints: TopologySpread | None = None
    """How evenly pods are spread; by default over zones and nodes where that can be. An empty list spreads nothing."""
    runtime_class_name: ObjectName | None = None
    """RuntimeClass of the pods, e.g. nvidia."""

    probes: Probes | None = None
    """Timing of the probes."""
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=86400, json_schema_extra={"format": "int64"})] = 300
    """Seconds that requests in flight have to finish when a pod stops; one that has none stops within seconds."""
    strategy: Strategy | None = None
    """How old pods are replaced; by default without surge where GPUs are used."""

    rules: ClassVar[tuple[Rule, ...]] = INFERENCE_RULES


class InferenceService(Record):
    """A Model served by llama.cpp on an OpenAI-compatible endpoint."""

    api_version: Literal["inference.llmkube.dev/v1alpha1"] = "inference.llmkube.dev/v1alpha1"
    kind: Literal["InferenceService"] = "InferenceService"
    metadata: ObjectMeta
    spec: InferenceServiceSpec
    """What is asked for."""
    status: InferenceServiceStatus = InferenceServiceStatus()
    """What was observed."""

    @classmethod
    def of(cls, name: str, spec: InferenceServiceSpec, *, namespace: str | None = None) -> dict[str, Any]:
        """Return the manifest of a new InferenceService."""
        meta = {"name": name} | ({"namespace": namespace} if namespace else {})
        return {"apiVersion": API_VERSION, "kind": "InferenceService", "metadata": meta, "spec": spec.brief()}
