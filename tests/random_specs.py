"""Whole specs at random, for whoever wants to know what becomes of any of them: services, models, and what is known."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from tests.layouts import layout, llama

from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import GGUFFacts, ModelMemory, ModelSpec, ModelStatus
from llmkube.api.options import CacheType
from llmkube.desired.inputs import Adapter, Inputs, Served
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.objects import CustomResource, ObjectMeta

LAYERS, TRAINED = 8, 4096
LAYOUT = layout(llama(layers=LAYERS, width=512, context=TRAINED, head=True, pooling=1))
"""Of a model that may be served in every mode."""
SHA256 = "ab" * 32
UNKNOWN, MISSING_FLAG = "registry.example/mine", "--no-such-flag"
_CACHE_TYPES = st.sampled_from(CacheType.__args__)
_EXTRA = st.sampled_from(
    [
        ("--temp", "0.2"),
        ("--seed", "-1"),
        ("--no-warmup",),
        ("--threads-batch", "4"),
        ("--top-k", "10"),
        ("--cache-reuse", "256"),
        ("--pooling", "mean"),
        ("--pooling", "last"),
        ("--swa-full",),
        ("-lv", "2"),
        (MISSING_FLAG,),
    ]
)
_QUANTITY = st.sampled_from(["0", "100m", "1", "2500m", "512Mi", "1Gi", "16Gi", "64Gi", "1.5e9"])
_BATCH = st.integers(1, 65536)


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A part of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


_SERVICE = _some(
    replicas=st.integers(0, 3),
    image=st.sampled_from(
        [
            f"{UNKNOWN}:1",
            f"{UNKNOWN}@sha256:{'cd' * 32}",
            "mirror.example/llama.cpp:server-b11669",
            "mirror.example/llama.cpp:server-cuda-b10068",
            "mirror.example/llama.cpp:server-rocm-b11000",
        ]
    ),
    imagePullSecrets=st.just([{"name": "registry"}]),
    resources=_some(gpu=st.integers(0, 4), cpu=_QUANTITY, memory=_QUANTITY, gpuMemory=_QUANTITY),
    contextSize=st.integers(128, 100_000),
    parallel=st.integers(1, 64),
    flashAttention=st.sampled_from(["auto", "on", "off"]),
    cacheTypeK=_CACHE_TYPES,
    cacheTypeV=_CACHE_TYPES,
    batchSize=_BATCH,
    ubatchSize=_BATCH,
    threads=st.integers(1, 1024),
    mode=st.sampled_from(["chat", "embedding", "rerank"]),
    jinja=st.booleans(),
    reasoning=_some(
        format=st.sampled_from(["auto", "none", "deepseek", "deepseek-legacy"]), budget=st.integers(-1, 1_048_576)
    ),
    extraArgs=st.lists(_EXTRA, max_size=4).map(lambda pairs: [word for pair in pairs for word in pair]),
    env=st.just([{"name": "GGML_CUDA_ENABLE_UNIFIED_MEMORY", "value": "1"}]),
    auth=st.just({"secretRef": {"name": "keys"}}),
    chatTemplateRef=st.just({"name": "template"}),
    speculative=_some(maxTokens=st.integers(0, 16), minTokens=st.integers(0, 3)).map(
        lambda fields: {"draftModelRef": "small", **fields}
    ),
    loraAdapters=st.lists(st.floats(0, 2), max_size=2).map(
        lambda scales: [
            {"name": f"a{index}", "source": "https://models.example/a.gguf", "scale": scale}
            for index, scale in enumerate(scales)
        ]
    ),
    nodeSelector=st.sampled_from([{"kubernetes.io/arch": "arm64"}, {"disk": "fast"}]),
)
_SPLITS = st.sampled_from([["0-3", "4-7"], ["0-3", "4-8"], ["0-0", "1-7"], ["0-3", "5-7"], ["0-7"], ["0-1", "2-3"]])
_GPU = _some(
    enabled=st.booleans(),
    count=st.integers(0, 4),
    memory=_QUANTITY,
    vendor=st.sampled_from(["nvidia", "amd", "intel"]),
    layers=st.integers(-1, 12),
    sharding=_some(strategy=st.sampled_from(["layer", "tensor", "pipeline", "row", "none"]), layerSplit=_SPLITS),
)
_MODEL = _some(
    hardware=_some(accelerator=st.sampled_from(["cpu", "cuda", "rocm", "metal", "vulkan", "intel"]), gpu=_GPU),
    resources=_some(cpu=_QUANTITY, memory=_QUANTITY),
    mmprojSource=st.just("https://models.example/p.gguf"),
)


def _read(kind: type[Any], fields: dict[str, Any]) -> Any:
    """None where the schema refuses it, as the API server would."""
    try:
        return kind.model_validate(fields)
    except ValueError:
        return None


def _passable(fields: dict[str, Any]) -> dict[str, Any]:
    """A flag that there is not is passed to an image of unknown build, whose engine then says so itself."""
    if fields.get("image", "").startswith(UNKNOWN):
        fields = fields | {"extraArgs": [word for word in fields.get("extraArgs", ()) if word != MISSING_FLAG]}
    if fields.get("mode", "chat") != "chat":  # what the schema refuses together
        fields = {name: value for name, value in fields.items() if name != "speculative"}
    if fields.get("jinja") is False:
        fields = {name: value for name, value in fields.items() if name != "chatTemplateRef"}
    return fields


SERVICES = _SERVICE.map(lambda fields: _read(InferenceServiceSpec, {"modelRef": "m", **_passable(fields)})).filter(bool)
MODELS = _MODEL.map(lambda fields: _read(ModelSpec, {"source": "https://models.example/m.gguf", **fields})).filter(bool)
LAYOUTS = st.sampled_from([LAYOUT, LAYOUT, None])
SETTINGS = OperatorSettings(image_map={"cuda/arm64": "registry.example/jetson:1"})


def inputs(spec: InferenceServiceSpec, model: ModelSpec, packed: str | None) -> Inputs:
    """What a service of this Model is made from, once the bytes of all that it refers to are verified."""
    draft = ModelSpec(source="https://models.example/small.gguf")
    adapters = (Adapter(each.name, _served(each.name, draft, packed), each.scale or 0.0) for each in spec.lora_adapters)
    small = _served("small", draft, packed) if spec.speculative else None
    return Inputs(_served("m", model, packed), small, tuple(adapters))


def _served(name: str, model: ModelSpec, packed: str | None) -> Served:
    status: dict[str, Any] = {
        "phase": "Ready",
        "sha256": SHA256,
        "path": f"v1/models/team/{name}/{SHA256[:12]}/m.gguf",
        "size_bytes": 2**20,
        "gguf": GGUFFacts(architecture="llama", context_length=TRAINED, block_count=LAYERS),
        "memory": ModelMemory(weights=2**20, kv_cache_per_token=2**10, compute_estimate=2**20, layout=packed),
    }
    if model.mmproj_source:
        projector = {"source": model.mmproj_source, "sizeBytes": 2**20, "path": "v1/models/team/m/p/p.gguf"}
        status["mmproj"] = projector
    return Served(owner("Model", name), model, ModelStatus.model_validate(status))


def owner(kind: str, name: str) -> CustomResource:
    metadata = ObjectMeta(name=name, namespace="team", uid="u-1")
    return CustomResource(api_version="inference.llmkube.dev/v1alpha1", kind=kind, metadata=metadata)
