"""Models and services to render: small factories, so that a test says only what it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.layouts import layout, llama, planned
from tests.unit.desired.fetches import JOB, KNOWN, See

from llmkube.api.group import API_VERSION
from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import GGUFFacts, ModelMemory, ModelSpec, ModelStatus
from llmkube.desired.deployment import deployment
from llmkube.desired.fetch_job import Target, job
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.model_status import Sight
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.objects import CustomResource, ObjectMeta

SHA256 = "ab" * 32
GI = 2**30
Factory = Callable[..., Any]


@pytest.fixture
def resource() -> Factory:
    """A Model or an InferenceService as the cache holds it."""

    def make(kind: str = "Model", name: str = "tiny", namespace: str = "team", uid: str = "u-1") -> CustomResource:
        metadata = ObjectMeta(name=name, namespace=namespace, uid=uid)
        return CustomResource(api_version=API_VERSION, kind=kind, metadata=metadata)

    return make


@pytest.fixture
def model_spec() -> Factory:
    def make(**fields: Any) -> ModelSpec:
        return ModelSpec.model_validate({"source": "https://models.example/tiny.gguf", **fields})

    return make


@pytest.fixture
def isvc_spec() -> Factory:
    def make(**fields: Any) -> InferenceServiceSpec:
        return InferenceServiceSpec.model_validate({"modelRef": "tiny", **fields})

    return make


@pytest.fixture
def model_status() -> Factory:
    def make(**fields: Any) -> ModelStatus:
        return ModelStatus(
            **{
                "phase": "Ready",
                "sha256": SHA256,
                "path": f"v1/models/team/tiny/{SHA256[:12]}/tiny.gguf",
                "etag": '"e1"',
                "size_bytes": GI,
                "gguf": GGUFFacts(architecture="llama", context_length=4096, block_count=30),
                "memory": ModelMemory(
                    weights=GI, kv_cache_per_token=2**16, compute_estimate=2**26, layout=layout(llama())
                ),
                **fields,
            }
        )

    return make


@pytest.fixture
def settings() -> OperatorSettings:
    return OperatorSettings(fetcher_image="registry.example/llmkube:1")


@pytest.fixture
def rendered_deployment(
    resource: Factory, model_spec: Factory, isvc_spec: Factory, model_status: Factory, settings: OperatorSettings
) -> Factory:
    """The Deployment for what differs from a plain CPU service."""

    def make(
        isvc: dict[str, Any] | None = None,
        model: dict[str, Any] | None = None,
        *,
        name: str = "chat",
        status: dict[str, Any] | None = None,
        settings: OperatorSettings = settings,
    ) -> dict[str, Any]:
        spec = isvc_spec(**isvc or {})
        inputs = Inputs(Served(resource(), model_spec(**model or {}), model_status(**status or {})))
        return deployment(resource("InferenceService", name), spec, inputs, settings, planned(spec, inputs))

    return make


@pytest.fixture
def rendered_job(resource: Factory, model_spec: Factory, settings: OperatorSettings) -> Factory:
    """The Job for what differs from a plain https:// model."""

    def make(model: dict[str, Any] | None = None, *, name: str = "tiny", **fields: Any) -> dict[str, Any]:
        known = {"claim_name": "tiny-cache", "claim_uid": "c-1", "sha256": SHA256, "etag": '"e1"', "size": GI}
        given = fields.pop("settings", settings)
        return job(resource(name=name), model_spec(**model or {}), given, Target(**{**known, **fields}))

    return make


@pytest.fixture
def see(model_spec: Callable[..., ModelSpec]) -> See:
    """What is seen of a Model whose source is resolved, with what a test says on top."""

    def make(previous: ModelStatus | None = None, spec: dict[str, Any] | None = None, **fields: Any) -> Sight:
        given = {"resolution": KNOWN, "job_name": JOB, **fields}
        return Sight(1, model_spec(**spec or {}), previous or ModelStatus(), **given)

    return make


@pytest.fixture
def model(resource: Factory, model_spec: Factory, model_status: Factory) -> Factory:
    """A Model whose bytes are there."""

    def make(name: str = "tiny", *, status: dict[str, Any] | None = None, **spec: Any) -> Served:
        said = {"path": f"v1/models/team/{name}/abababababab/m.gguf", **(status or {})}
        return Served(resource(name=name, uid=f"u-{name}"), model_spec(**spec), model_status(**said))

    return make
