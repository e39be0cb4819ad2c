"""Every manifest of manifests/samples is taken by the API server, and what 0.2 could say still runs as it did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.process import Operator

    Documents = Callable[..., tuple[Object, Object]]

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"
RESOURCES = {"Model": "models", "InferenceService": "inferenceservices"}


def read(name: str) -> list[Any]:
    return [each for each in yaml.safe_load_all((SAMPLES / name).read_text()) if each["kind"] in RESOURCES]


@pytest.mark.parametrize("name", sorted(each.name for each in SAMPLES.glob("*.yaml")))
def test_every_sample_is_taken_by_the_api_server(name: str, api: Api, here: str) -> None:
    found = read(name)
    assert found
    for each in found:
        assert api.apply(RESOURCES[each["kind"]], here, each)


def test_a_manifest_for_0_2_runs_unchanged(
    api: Api, here: str, operator: Operator, documents: Documents, until: Until
) -> None:
    """But for the source, as nothing outside this machine is reached."""
    model, service = read("v0.2.yaml")
    model["spec"]["source"] = documents()[0]["spec"]["source"]
    del model["spec"]["quantization"]  # this model's is another
    api.apply("models", here, model)
    api.apply("inferenceservices", here, service)
    name = service["metadata"]["name"]
    status = until(lambda: api.get("inferenceservices", here, name)["status"], lambda told: told["phase"] == "Ready")
    assert (status["readyReplicas"], status["desiredReplicas"], status["modelReady"]) == (1, 1, True)
    assert status["endpoint"] == f"http://{name}.{here}.svc.cluster.local:8080/v1/chat/completions"
    assert (status["plan"]["gpuLayers"], len(status["plan"]["memory"]["gpu"])) == (31, 2)
    pod = api.get("deployments", here, name)["spec"]["template"]["spec"]
    (engine,) = pod["containers"]
    assert engine["image"] == service["spec"]["image"]
    assert engine["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert (engine["resources"]["requests"]["cpu"], engine["resources"]["requests"]["memory"]) == ("2", "4Gi")
    assert "--split-mode" in engine["args"]
    assert "nvidia.com/gpu" in json.dumps(pod["tolerations"])
