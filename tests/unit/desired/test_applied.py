"""What is rendered, applied to an API server: it is taken, a second look finds nothing to do, changes go through."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmkube.desired.cache import claim
from llmkube.desired.service import service
from llmkube.kube.diff import covers
from llmkube.kube.objects import PersistentVolumeClaim
from llmkube.local.apiserver.registry import Registry

Factory = Callable[..., Any]
RESOURCES = {
    "Deployment": "deployments.apps",
    "Job": "jobs.batch",
    "Service": "services",
    "PersistentVolumeClaim": "persistentvolumeclaims",
}
CUDA = {"hardware": {"accelerator": "cuda", "gpu": {"count": 1}}}
EVERYTHING = {
    "auth": {"secretRef": {"name": "keys"}},
    "env": [{"name": "A", "value": "1"}],
    "tolerations": [{"key": "team", "operator": "Exists"}],
    "nodeSelector": {"disk": "fast"},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "resources": {"memory": "9.5Gi", "cpu": "1500m"},
}


@pytest.fixture
def apply(tmp_path: Path) -> Iterator[Factory]:
    registry = Registry(tmp_path / "state.db")
    registry.create("namespaces", None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})

    def make(desired: dict[str, Any]) -> dict[str, Any]:
        metadata, resource = desired["metadata"], RESOURCES[desired["kind"]]
        return registry.patch(
            resource,
            metadata["namespace"],
            metadata["name"],
            desired,
            patch_type="apply",
            manager="llmkube",
            force=True,
        )

    yield make
    registry.close()


def without_status(obj: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in obj.items() if name != "status"}, sort_keys=True)


@pytest.mark.parametrize("isvc", [{}, EVERYTHING])
@pytest.mark.parametrize("model", [{}, CUDA, {"cache": {"mode": "Ephemeral"}}])
def test_a_deployment_is_taken_and_a_second_look_finds_nothing_to_do(
    isvc: dict[str, Any], model: dict[str, Any], rendered_deployment: Factory, apply: Factory
) -> None:
    desired = rendered_deployment(isvc, model)
    live = apply(desired)
    assert covers(live, rendered_deployment(isvc, model))
    assert without_status(apply(desired)) == without_status(live)


def test_no_intent_says_anything_that_the_api_server_or_another_resource_says(
    rendered_deployment: Factory, rendered_job: Factory, resource: Factory, model_spec: Factory, isvc_spec: Factory
) -> None:
    served = service(resource("InferenceService", "chat"), isvc_spec())
    kept = claim(resource(), model_spec(), size_bytes=2**30)
    for desired in (rendered_deployment(EVERYTHING, CUDA), rendered_job({}), served, kept):
        assert set(desired) == {"apiVersion", "kind", "metadata", "spec"}
        assert set(desired["metadata"]) <= {"name", "namespace", "labels", "annotations", "ownerReferences"}
        assert '"creationTimestamp"' not in json.dumps(desired)
        (owner,) = desired["metadata"]["ownerReferences"]
        assert owner["controller"] is True


def test_a_deployment_of_the_longest_name_is_taken(rendered_deployment: Factory, apply: Factory) -> None:
    desired = rendered_deployment(name="n" * 253)
    assert covers(apply(desired), desired)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (({}, {}), ({}, CUDA)),
        (({}, CUDA), ({}, {})),
        (({"strategy": {"type": "RollingUpdate"}}, {}), ({"strategy": {"type": "Recreate"}}, {})),
        (({}, {}), ({}, {"cache": {"mode": "Ephemeral"}})),
        (({}, {"cache": {"mode": "Ephemeral"}}), ({}, {})),
        ((EVERYTHING, {}), ({}, {})),
    ],
)
def test_a_change_goes_through_and_leaves_nothing_of_before(
    before: tuple[Any, Any], after: tuple[Any, Any], rendered_deployment: Factory, apply: Factory
) -> None:
    apply(rendered_deployment(*before))
    changed = apply(rendered_deployment(*after))
    assert covers(changed, rendered_deployment(*after))
    for field in ("volumes", "initContainers", "tolerations", "nodeSelector"):
        wanted = rendered_deployment(*after)["spec"]["template"]["spec"].get(field, [])
        assert len(changed["spec"]["template"]["spec"].get(field, [])) == len(wanted)
    assert set(changed["spec"]["strategy"]) == set(rendered_deployment(*after)["spec"]["strategy"])


@pytest.mark.parametrize("model", [{}, {"source": "pvc://weights/m.gguf", "caBundleRef": {"name": "corp"}}])
@pytest.mark.parametrize("name", ["tiny", "m" * 253])
def test_a_job_is_taken(model: dict[str, Any], name: str, rendered_job: Factory, apply: Factory) -> None:
    desired = rendered_job(model, name=name)
    assert covers(apply(desired), desired)


@pytest.mark.parametrize("name", ["chat", "7b.v2", "n" * 253])
def test_a_service_is_taken(name: str, resource: Factory, isvc_spec: Factory, apply: Factory) -> None:
    desired = service(resource("InferenceService", name), isvc_spec(endpoint={"type": "NodePort"}))
    assert covers(apply(desired), desired)
    changed = service(resource("InferenceService", name), isvc_spec(endpoint={"port": 81}))
    live = apply(changed)
    assert covers(live, changed)
    assert [port["port"] for port in live["spec"]["ports"]] == [81]


def test_a_changed_cache_never_asks_a_live_claim_to_change_but_for_its_size(
    resource: Factory, model_spec: Factory, apply: Factory
) -> None:
    applied = apply(claim(resource(), model_spec(), size_bytes=2**30))
    live = PersistentVolumeClaim(spec=msgspec.Raw(msgspec.json.encode(applied["spec"])))
    changed = model_spec(cache={"storageClassName": "fast", "accessMode": "ReadWriteMany"})
    desired = claim(resource(), changed, size_bytes=2**30, live=live)
    assert covers(applied, desired)
    assert apply(desired)["spec"] == applied["spec"]
