"""The Model resource: where a GGUF comes from, how it is verified and cached, what it runs on, what is known of it."""

# ruff: noqa: TC001 - pydantic reads annotations at run time
from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from llmkube.api.conditions import Conditions
from llmkube.api.fields import (
    LIST_SET,
    MAP_ATOMIC,
    Bytes,
    Count,
    DataKey,
    Digest,
    Line,
    ObjectName,
    Quantity,
    Record,
    SecretName,
    Source,
    Timestamp,
    Word,
    list_map,
)
from llmkube.api.group import API_VERSION
from llmkube.api.hardware import Hardware
from llmkube.api.metadata import ObjectMeta
from llmkube.api.model_rules import CACHE_RULES, MODEL_RULES
from llmkube.api.rules import Rule


class ModelResources(Record):
    """What a pod that serves this model needs, unless its InferenceService says more."""

    cpu: Quantity | None = None
    """CPU request, e.g. 2 or 500m."""
    memory: Quantity | None = None
    """Memory request, e.g. 4Gi."""


class CABundle(Record):
    """A key of a ConfigMap in the same namespace that holds PEM certificates."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: DataKey = "ca.crt"
    """Key of the ConfigMap."""


class LicensePolicy(Record):
    """Which licences are acceptable."""

    allow: Annotated[tuple[Word, ...], Field(min_length=1, max_length=64, json_schema_extra=LIST_SET)]
    """Licence names, e.g. apache-2.0, in any usual spelling. Any other licence, or none, refuses the model. It is what
    the GGUF header states, or else a file NAME.gguf.license beside the model."""


class Cache(Record):
    """Where the verified file is kept."""

    mode: Literal["PerModel", "Shared", "Existing", "Ephemeral"] = "PerModel"
    """PerModel: a claim of its own. Shared: the claim llmkube-models of the namespace. Existing: the claim claimName.
    Ephemeral: no claim, each pod fetches for itself."""
    claim_name: ObjectName | None = None
    """The claim to use in mode Existing."""
    storage_class_name: ObjectName | None = None
    """Storage class of the claim that is made in modes PerModel and Shared; by default the cluster's."""
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"] | None = None
    """Access mode of the claim that is made; ReadWriteOnce by default. Pods on several nodes need ReadWriteMany."""
    size: Quantity | None = None
    """Size of the claim (or of the ephemeral volume); by default what the model needs."""
    prefetch: bool = True
    """Whether the file is fetched before any service asks for it; false waits for the first InferenceService."""

    rules: ClassVar[tuple[Rule, ...]] = CACHE_RULES


class ModelSpec(Record):
    """What the person asks for."""

    source: Source
    """Where the GGUF is: https://..., http://..., hf://org/repo/file.gguf[@revision], s3://bucket/key,
    oci://registry/repository[:tag|@sha256:digest][/file.gguf], pvc://claim/path, or file:///path (below roots the
    administrator allows). The -00001-of-000NN.gguf name of a split model stands for all of its parts."""
    format: Literal["gguf"] = "gguf"
    """Format of the file."""
    quantization: Word | None = None
    """Quantisation that is expected, e.g. Q4_K_M. Informational: a header that says otherwise shows as a condition."""
    hardware: Hardware = Hardware()
    """What the model runs on."""
    resources: ModelResources | None = None
    """What a pod that serves this model needs, unless its InferenceService says more."""
    sha256: Digest | None = None
    """SHA-256 of the file, in lower-case hex. Bytes that differ are never served. For a split model: the SHA-256 of the
    parts' hex digests written one after another, in order."""
    source_secret_ref: Annotated[SecretName, Field(json_schema_extra=MAP_ATOMIC)] | None = None
    """Secret with credentials for the source: LLMKUBE_SOURCE_TOKEN, or LLMKUBE_SOURCE_USERNAME and
    LLMKUBE_SOURCE_PASSWORD; HF_TOKEN for hf://; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION
    and AWS_ENDPOINT_URL for s3://; .dockerconfigjson for oci://. Its other keys are left alone."""
    ca_bundle_ref: Annotated[CABundle, Field(json_schema_extra=MAP_ATOMIC)] | None = None
    """ConfigMap with certificates to trust for the source, on top of the system's."""
    refresh: Literal["IfNotPresent", "OnChange"] = "IfNotPresent"
    """When to look at the source again. IfNotPresent: never, once it is known. OnChange: now and then; what has changed
    there is fetched beside what is served, and rolled out when it is verified."""
    license: LicensePolicy | None = None
    """Which licences are acceptable; any by default."""
    mmproj_source: Source | None = None
    """Where the multimodal projector (an mmproj GGUF) is; with the credentials and certificates of the source."""
    cache: Cache = Cache()
    """Where the verified file is kept."""

    rules: ClassVar[tuple[Rule, ...]] = MODEL_RULES


class Progress(Record):
    """How far a download is."""

    bytes: Bytes
    """Bytes that have arrived."""
    percent: Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]
    """Percentage that has arrived, rounded down."""
    bytes_per_second: Bytes
    """Current rate."""
    eta_seconds: Bytes | None = None
    """Seconds that the rest takes at this rate; absent while that cannot be told."""


class Tokenizer(Record):
    """What the header says of the vocabulary."""

    model: Word | None = None
    """Kind, e.g. gpt2 or llama."""
    add_bos: bool | None = None
    """Whether a text is begun with a token of its own."""
    add_eos: bool | None = None
    """Whether a text is ended with a token of its own."""
    bos: Count | None = None
    """The token that begins a text."""
    eos: Count | None = None
    """The token that ends a text."""
    digest: Word | None = None
    """Digest of the tokens but for the first five: models with the same one can draft for each other."""


class GGUFFacts(Record):
    """What the header of the file says."""

    architecture: Word | None = None
    """Architecture, e.g. llama."""
    name: Line | None = None
    """Name the file gives itself."""
    parameters: Bytes | None = None
    """Number of parameters."""
    quantization: Word | None = None
    """Quantisation, e.g. Q4_K_M."""
    context_length: Bytes | None = None
    """Context the model was trained for, in tokens."""
    block_count: Bytes | None = None
    """Number of layers."""
    embedding_length: Bytes | None = None
    """Width of the embedding."""
    head_count: Bytes | None = None
    """Number of attention heads (the most of any layer)."""
    head_count_kv: Annotated[Bytes | None, Field(alias="headCountKV")] = None
    """Number of key/value heads (the most of any layer)."""
    vocabulary_size: Bytes | None = None
    """Number of tokens in the vocabulary."""
    experts: Count | None = None
    """Number of experts of a mixture."""
    experts_used: Count | None = None
    """Number of experts used per token."""
    license: Line | None = None
    """Licence, as the file states it."""
    chat_template: bool | None = None
    """Whether the file carries a chat template."""
    split_count: Count | None = None
    """Number of files the model is split into."""
    type: Word | None = None
    """What the file is, as it says itself: model, adapter or mmproj."""
    adapter_type: Word | None = None
    """Kind of an adapter, e.g. lora."""
    tokenizer: Tokenizer | None = None
    """The vocabulary."""


class ModelMemory(Record):
    """What the model needs in memory, in bytes."""

    weights: Bytes
    """The tensors, those of the projector included."""
    kv_cache_per_token: Bytes
    """Keys and values of one token of context, at f16."""
    compute_estimate: Bytes
    """Working memory of the engine at its default batch."""
    layout: Annotated[str, Field(max_length=16384)] | None = None
    """What the header says of the layers, packed: services are planned from it without asking the source again."""


class Projector(Record):
    """The multimodal projector that goes with the model."""

    source: Source
    """The mmprojSource that this is about."""
    size_bytes: Bytes | None = None
    """Size of the file in bytes."""
    etag: Line | None = None
    """Entity tag that its source gave."""
    sha256: Digest | None = None
    """Digest of the verified bytes."""
    path: Annotated[str, Field(max_length=4096)] | None = None
    """Where the file is below the root of the cache."""


class Retained(Record):
    """Verified bytes of before, which are kept in the cache for as long as a pod may need them."""

    sha256: Digest
    """Their digest."""
    path: Annotated[str, Field(max_length=4096)]
    """Where they are below the root of the cache."""
    size_bytes: Bytes = 0
    """Their size."""
    claim: ObjectName
    """The claim that they are in."""
    mmproj_sha256: Digest | None = None
    """Digest of the projector that went with them."""


ModelPhase = Literal["Pending", "Resolving", "Downloading", "Verifying", "Ready", "Failed"]


class ModelStatus(Record):
    """What was observed."""

    phase: ModelPhase | None = None
    """One word for where the model is: Pending, Resolving, Downloading, Verifying, Ready or Failed."""
    size: Annotated[str, Field(max_length=32)] | None = None
    """Size of the file for people, e.g. 93.8Mi."""
    size_bytes: Bytes | None = None
    """Size of the file in bytes (of all parts)."""
    path: Annotated[str, Field(max_length=4096)] | None = None
    """Where the file is below the root of the cache."""
    claim: ObjectName | None = None
    """The claim that the file is in; none where each pod fetches for itself."""
    accelerator_ready: bool | None = None
    """Whether the accelerator that the spec names can be used."""
    last_updated: Timestamp | None = None
    """When the status last changed."""
    source: Source | None = None
    """The source that size, etag, revision, gguf and memory are about."""
    observed_generation: Bytes | None = None
    """The metadata.generation that this status is about."""
    sha256: Digest | None = None
    """Digest of the verified bytes."""
    etag: Line | None = None
    """Entity tag that the source gave."""
    revision: Line | None = None
    """Revision that the source resolved to."""
    progress: Progress | None = None
    """How far the download is, while there is one."""
    gguf: GGUFFacts | None = None
    """What the header of the file says."""
    memory: ModelMemory | None = None
    """What the model needs in memory."""
    mmproj: Projector | None = None
    """The multimodal projector."""
    retained: Annotated[tuple[Retained, ...], Field(max_length=16, json_schema_extra=list_map("sha256", "claim"))] = ()
    """Verified bytes of before (another source, or what it had earlier): pods that use them keep them until those of
    this spec are verified and rolled out; then they are collected."""
    conditions: Conditions = ()
    """Resolved, Cached, Available, Progressing, Degraded."""


class Model(Record):
    """A GGUF model: where it comes from, how it is verified, where it is cached and what it runs on."""

    api_version: Literal["inference.llmkube.dev/v1alpha1"] = "inference.llmkube.dev/v1alpha1"
    kind: Literal["Model"] = "Model"
    metadata: ObjectMeta
    spec: ModelSpec
    """What is asked for."""
    status: ModelStatus = ModelStatus()
    """What was observed."""

    @classmethod
    def of(cls, name: str, spec: ModelSpec, *, namespace: str | None = None) -> dict[str, Any]:
        """Return the manifest of a new Model."""
        meta = {"name": name} | ({"namespace": namespace} if namespace else {})
        return {"apiVersion": API_VERSION, "kind": "Model", "metadata": meta, "spec": spec.brief()}
