"""The real kubectl against local mode: the verbs that people type, and what they read."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.component.local.local_mode import model, service, until
from tests.kubectl import is_there, kubectl

if TYPE_CHECKING:
    from pathlib import Path

    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode

pytestmark = [
    pytest.mark.engine,
    pytest.mark.kubectl,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not is_there(), reason="NO kubectl on PATH or built: NOT tested with it"),
]


@pytest.fixture(scope="module")
def documents(models: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("documents") / "smollm2.yaml"
    path.write_text(yaml.safe_dump_all([model("smollm2", models.url("smollm2.gguf")), service("smollm2", "smollm2")]))
    return path


@pytest.fixture(scope="module", autouse=True)
def applied(local: LocalMode, documents: Path) -> str:
    """What `kubectl apply` printed; then everything is available."""
    said = local.kubectl("apply", "-f", str(documents)).stdout
    local.kubectl("wait", "--for=condition=Available", "models/smollm2", "isvc/smollm2", "--timeout=120s")
    return said


def test_apply_says_what_it_made_and_then_that_nothing_changed(local: LocalMode, applied: str, documents: Path) -> None:
    assert "model.inference.llmkube.dev/smollm2 created" in applied
    again = local.kubectl("apply", "-f", str(documents)).stdout
    assert again.count("unchanged") == 2


def test_server_side_apply_takes_the_fields_and_a_second_manager_is_told_of_the_conflict(
    local: LocalMode, documents: Path
) -> None:
    local.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=one", "-f", str(documents))
    changed = documents.read_text().replace("contextSize: 512", "contextSize: 640")
    refused = local.kubectl("apply", "--server-side", "--field-manager=two", "-f", "-", stdin=changed, check=False)
    assert refused.returncode == 1
    assert "Apply failed with" in refused.stderr
    assert '"one"' in refused.stderr
    assert ".spec.contextSize" in refused.stderr


def test_get_prints_the_columns_of_the_definitions(local: LocalMode) -> None:
    said = local.kubectl("get", "models,isvc").stdout
    assert "PHASE" in said
    assert "model.inference.llmkube.dev/smollm2" in said
    wide = local.kubectl("get", "models,isvc", "-o", "wide").stdout
    assert {"ARCHITECTURE", "QUANTIZATION", "CONTEXT"} <= set(wide.split())


def test_get_gives_yaml_json_and_single_values(local: LocalMode) -> None:
    assert yaml.safe_load(local.kubectl("get", "isvc", "smollm2", "-o", "yaml").stdout)["kind"] == "InferenceService"
    listed = json.loads(local.kubectl("get", "models", "-A", "-o", "json").stdout)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["smollm2"]
    phase = local.kubectl("get", "model/smollm2", "-o", "jsonpath={.status.phase}").stdout
    assert phase == "Ready"


def test_everything_that_runs_is_seen_as_in_a_cluster(local: LocalMode) -> None:
    said = local.kubectl("get", "all").stdout
    for kind in ("pod/smollm2-", "service/smollm2", "deployment.apps/smollm2", "job.batch/smollm2-fetch-"):
        assert kind in said
    assert "Running" in said
    assert "Bound" in local.kubectl("get", "pvc").stdout


def test_watching_prints_what_changes(local: LocalMode) -> None:
    with subprocess.Popen(
        [*kubectl(), "--kubeconfig", str(local.kubeconfig), "get", "isvc", "smollm2", "-w", "-o", "name"],
        env=local.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        assert "smollm2" in watching.stdout.readline()
        local.kubectl("annotate", "isvc", "smollm2", "seen=yes", "--overwrite")
        assert "smollm2" in watching.stdout.readline()
        watching.terminate()


def test_describe_tells_conditions_and_events(local: LocalMode) -> None:
    said = local.kubectl("describe", "isvc", "smollm2").stdout
    assert "ModelReady" in said
    until(lambda: local.kubectl("describe", "model", "smollm2").stdout, lambda text: "Services can serve it" in text)
    assert "Started container" in local.kubectl("get", "events").stdout


def test_logs_are_those_of_the_engine_and_can_be_followed(local: LocalMode) -> None:
    assert "listening" in local.kubectl("logs", "deploy/smollm2").stdout
    with subprocess.Popen(
        [*kubectl(), "--kubeconfig", str(local.kubeconfig), "logs", "-f", "deploy/smollm2", "--tail=1"],
        env=local.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline()
        assert following.poll() is None, "follow must stay open while the engine runs"
        following.terminate()


def test_scale_patch_and_rollout_reach_the_pods(local: LocalMode) -> None:
    local.kubectl("scale", "isvc/smollm2", "--replicas=2")
    local.until_ready("smollm2", replicas=2)
    local.kubectl("patch", "isvc", "smollm2", "--type=merge", "-p", '{"spec":{"contextSize":768,"replicas":1}}')
    until(
        lambda: local.get("apis/apps/v1/namespaces/default/deployments/smollm2"),
        lambda found: "768" in found["spec"]["template"]["spec"]["containers"][0]["args"],
    )
    local.kubectl("rollout", "status", "deployment/smollm2", "--timeout=120s")
    local.until_ready("smollm2")


def test_a_patch_of_an_unknown_field_warns_and_a_wrong_type_is_refused_with_its_path(local: LocalMode) -> None:
    warned = local.kubectl("patch", "isvc", "smollm2", "--type=merge", "-p", '{"spec":{"nope":1}}')
    assert 'unknown field "spec.nope"' in warned.stderr
    refused = local.kubectl(
        "patch",
        "isvc",
        "smollm2",
        "--type=json",
        "-p",
        '[{"op":"replace","path":"/spec/replicas","value":"two"}]',
        check=False,
    )
    assert refused.returncode == 1
    assert "spec.replicas" in refused.stderr


def test_apply_of_a_misspelt_field_is_refused_with_its_path(local: LocalMode, documents: Path) -> None:
    misspelt = documents.read_text().replace("contextSize:", "contextsize:")
    refused = local.kubectl("apply", "-f", "-", stdin=misspelt, check=False)
    assert refused.returncode == 1
    assert 'unknown field "spec.contextsize"' in refused.stderr


def test_explain_shows_the_fields_of_the_schema(local: LocalMode) -> None:
    assert "contextSize" in local.kubectl("explain", "isvc.spec").stdout
    assert "sha256" in local.kubectl("explain", "models.spec").stdout


def test_what_is_not_served_answers_with_a_status_object(local: LocalMode) -> None:
    pod, *_ = local.pods("smollm2")  # one that was scaled away may still drain
    refused = local.kubectl("exec", pod["metadata"]["name"], "--", "ls", check=False)
    assert refused.returncode == 1
    assert "could not find the requested resource" in refused.stderr
    absent = local.kubectl("get", "pods", "nobody", check=False)
    assert 'Error from server (NotFound): pods "nobody" not found' in absent.stderr


def test_delete_waits_until_everything_is_gone(local: LocalMode, documents: Path) -> None:
    local.kubectl("delete", "-f", str(documents), "--timeout=60s")
    until(lambda: local.kubectl("get", "all").stdout, lambda said: said == "")
