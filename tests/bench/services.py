"""What it costs to render services: 10,000 that all differ, of 20 models, each for the first time."""

from __future__ import annotations

from time import process_time
from typing import Any

from tests.bench.figures import Figure
from tests.bench.rendering import typed_of
from tests.layouts import layout, llama

from llmkube.api.group import API_VERSION
from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import GGUFFacts, ModelMemory, ModelSpec, ModelStatus
from llmkube.desired.deployment import deployment
from llmkube.desired.inference_plan import decided, published, remark
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.reading import spec_of
from llmkube.desired.service import service
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.kinds import INFERENCE_SERVICE, MODEL
from llmkube.kube.objects import CustomResource

LIMIT = 2.0
COUNT = 10_000
MODELS = 20
SHA256 = "ab" * 32


def figures(count: int) -> list[Figure]:
    """Seconds of CPU, from the JSON of a spec to its Service, its Deployment and its plan."""
    served = [_served(index) for index in range(MODELS)]
    services = [_service(index) for index in range(count)]
    settings = OperatorSettings()
    began = process_time()
    for index, isvc in enumerate(services):
        _rendered(isvc, served[index % MODELS], settings)
    took = process_time() - began
    note = f"{1_000_000 * took / count:.0f} us each, {MODELS} models"
    return [Figure(f"{count} services rendered", took, "s of CPU", note, LIMIT * count / COUNT, at_least=False)]


def _rendered(isvc: CustomResource, served: Served, settings: OperatorSettings) -> None:
    """As the reconciler does it."""
    spec = spec_of(isvc, InferenceServiceSpec)
    assert isinstance(spec, InferenceServiceSpec)
    engine = decided(spec, Inputs(served), settings)
    assert not isinstance(engine, Trouble)
    service(isvc, spec)
    deployment(isvc, spec, Inputs(served), settings, engine)
    published(spec, served.spec, engine)
    remark(spec, served, engine)


def _service(index: int) -> CustomResource:
    """No two are alike; most of what differs does not change the plan, as in a cluster."""
    spec: dict[str, Any] = {
        "modelRef": f"m-{index % MODELS}",
        "replicas": index % 3,
        "contextSize": 2048 << index % 3,
        "parallel": 1 + index % 4,
        "threads": 1 + index % 16,
        "extraArgs": ["--temp", f"0.{index}"],
        "env": [{"name": "INDEX", "value": str(index)}],
        "resources": {"cpu": "2", "memory": "16Gi"},
    }
    metadata = {"name": f"s-{index}", "namespace": "team", "uid": f"u-{index}"}
    return typed_of(INFERENCE_SERVICE, {**_kind("InferenceService"), "metadata": metadata, "spec": spec})


def _served(index: int) -> Served:
    """A model on two GPUs of known size."""
    facts = llama(layers=16 + index, width=2048, context=32768)
    gpu = {"count": 2, "memory": "16Gi"}
    spec = {"source": "https://models.example/m.gguf", "hardware": {"accelerator": "cuda", "gpu": gpu}}
    metadata = {"name": f"m-{index}", "namespace": "team", "uid": f"m-{index}"}
    model = typed_of(MODEL, {**_kind("Model"), "metadata": metadata, "spec": spec})
    status = ModelStatus(
        phase="Ready",
        sha256=SHA256,
        path=f"v1/models/team/m-{index}/{SHA256[:12]}/m.gguf",
        size_bytes=facts.weights_bytes,
        gguf=GGUFFacts(architecture="llama", context_length=facts.context_length, block_count=facts.block_count),
        memory=ModelMemory(weights=1, kv_cache_per_token=1, compute_estimate=1, layout=layout(facts)),
    )
    return Served(model, ModelSpec.model_validate(spec), status)


def _kind(kind: str) -> dict[str, str]:
    return {"apiVersion": API_VERSION, "kind": kind}
