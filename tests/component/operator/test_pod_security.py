"""Every pod that the operator makes, shown to the real admission in a namespace that enforces "restricted".

Only a real control plane has that admission. Pods are created by dry run: nothing of them is kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.operator.api import Refused, path

from llmkube.api.group import API_VERSION
from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import GGUFFacts, ModelMemory, ModelSpec, ModelStatus, Projector
from llmkube.desired.deployment import deployment
from llmkube.desired.fetch_job import Target, job
from llmkube.desired.fetch_result import Done
from llmkube.desired.inference_plan import decided
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.settings import OperatorSettings
from llmkube.desired.upkeep_job import collect_job, recheck_job
from llmkube.kube.objects import CustomResource, ObjectMeta

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object

pytestmark = pytest.mark.real_control_plane
SHA256 = "ab" * 32
TARGET = Target(claim_name="cache", claim_uid="u", sha256=SHA256, size=2**20, nodes=("node-a",))
SOURCES = (
    "https://models.example/m.gguf",
    "hf://org/repo/m.gguf",
    "s3://bucket/m.gguf",
    "oci://registry.example/team/m:1",
    "pvc://weights/m.gguf",
    "file:///srv/m.gguf",
)
WITH_ALL = {
    "sourceSecretRef": {"name": "credentials"},
    "caBundleRef": {"name": "ca"},
    "mmprojSource": "https://models.example/mmproj.gguf",
}
GUARDED = {
    "auth": {"secretRef": {"name": "keys"}},
    "endpoint": {"tls": {"secretRef": {"name": "cert"}}},
    "chatTemplateRef": {"name": "template"},
    "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    "priorityClassName": "system-cluster-critical",
}
GPU = {"hardware": {"accelerator": "cuda", "gpu": {"count": 2}}}


def restricted(api: Api, here: str) -> None:
    label = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}
    api.patch("namespaces", "", here, {"metadata": {"labels": label}})


def named(kind: str) -> CustomResource:
    return CustomResource(api_version=API_VERSION, kind=kind, metadata=ObjectMeta(name="x", namespace="n", uid="u"))


def shapes() -> Iterator[tuple[str, Object]]:
    """Every pod that is rendered, with what it is for."""
    for settings in (OperatorSettings(), OperatorSettings(user_namespaces=True)):
        users = "own users" if settings.user_namespaces else "the node's users"
        for source, more in itertools.product(SOURCES, ({}, WITH_ALL)):
            model = ModelSpec.model_validate({"source": source, **more})
            yield f"fetch of {source} with {len(more)} more, {users}", job(named("Model"), model, settings, TARGET)
        for shape, made in served(settings):
            yield f"{shape}, {users}", made


def served(settings: OperatorSettings) -> Iterator[tuple[str, Object]]:
    done = Done(SHA256, 2**20, "v1/models/n/x/abababababab/m.gguf")
    plain = ModelSpec.model_validate({"source": SOURCES[0]})
    yield "collection", collect_job(named("Model"), plain, settings, TARGET, done=done, keep=(SHA256,))
    yield "recheck", recheck_job(named("Model"), plain, settings, TARGET, done=done, cause="c")
    ephemeral = {"cache": {"mode": "Ephemeral"}, **WITH_ALL}
    for model, isvc in itertools.product(({}, GPU, ephemeral, {**ephemeral, **GPU}), ({}, GUARDED)):
        spec = InferenceServiceSpec.model_validate({"modelRef": "x", **isvc})
        inputs = Inputs(Served(named("Model"), ModelSpec.model_validate({"source": SOURCES[0], **model}), status()))
        engine = decided(spec, inputs, settings)
        assert not isinstance(engine, Trouble), engine
        made = deployment(named("InferenceService"), spec, inputs, settings, engine)
        yield f"engine with {[*model, *isvc]}", made


def status() -> ModelStatus:
    return ModelStatus(
        phase="Ready",
        sha256=SHA256,
        path="v1/models/n/x/abababababab/m.gguf",
        size_bytes=2**20,
        mmproj=Projector(
            source="https://models.example/mmproj.gguf",
            sha256=SHA256,
            path="v1/models/n/x/abababababab/p.gguf",
            size_bytes=2**10,
        ),
        gguf=GGUFFacts(architecture="llama", context_length=4096, block_count=30),
        memory=ModelMemory(weights=2**20, kv_cache_per_token=2**10, compute_estimate=2**20),
    )


def create(api: Api, here: str, template: Object) -> Any:
    pod = {"metadata": {**template["metadata"], "generateName": "shape-"}, "spec": template["spec"]}
    return api.ask("POST", f"{path('pods', here)}?dryRun=All", pod)


def test_every_pod_that_is_made_is_accepted_where_restricted_is_enforced(api: Api, here: str) -> None:
    restricted(api, here)
    refused = {}
    made = dict(shapes())
    for shape, owner in made.items():
        try:
            create(api, here, owner["spec"]["template"])
        except Refused as error:
            refused[shape] = str(error)
    assert refused == {}
    assert len(made) > 40


def test_a_pod_that_is_a_little_weaker_is_refused_there(api: Api, here: str) -> None:
    restricted(api, here)
    _, owner = next(served(OperatorSettings()))
    template = owner["spec"]["template"]
    (container,) = template["spec"]["containers"]
    context = {**container["securityContext"], "allowPrivilegeEscalation": True}
    weaker = {**template["spec"], "containers": [{**container, "securityContext": context}]}
    with pytest.raises(Refused, match="violates PodSecurity"):
        create(api, here, {**template, "spec": weaker})
