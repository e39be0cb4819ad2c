"""The commands against an API server: what they send, what they print, how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmkube.cli import errors

GROUP = "/apis/inference.llmkube.dev/v1alpha1/namespaces/team"
MODEL = f"{GROUP}/models/smollm2"
SERVICE = f"{GROUP}/inferenceservices/smollm2"
SAMPLE = str(Path(__file__).parents[3] / "manifests" / "samples" / "quickstart.yaml")
READY = {"phase": "Ready", "observedGeneration": 1, "readyReplicas": 1, "endpoint": "http://10.0.0.1:8080/v1"}


def served(cluster: Any, status: dict[str, Any] | None = None, **spec: Any) -> None:
    """Put a service into the cluster."""
    cluster.objects[SERVICE] = {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": "smollm2", "namespace": "team", "generation": 1, "resourceVersion": "7"},
        "spec": {"modelRef": "smollm2", **spec},
        "status": READY if status is None else status,
    }


def test_apply_says_for_each_object_what_became_of_it(invoke: Any, cluster: Any) -> None:
    first, second = invoke("apply", "-f", SAMPLE), invoke("apply", "-f", SAMPLE)
    assert first.stdout.splitlines() == [
        "model.inference.llmkube.dev/smollm2 created",
        "inferenceservice.inference.llmkube.dev/smollm2 created",
    ]
    assert [line.split()[1] for line in second.stdout.splitlines()] == ["unchanged", "unchanged"]
    assert cluster.objects[MODEL]["metadata"]["namespace"] == "team"


def test_apply_sends_an_apply_of_its_own_field_manager_without_force(invoke: Any, cluster: Any) -> None:
    invoke("apply", "-f", SAMPLE)
    sent = [query for method, path, query in cluster.requests if method == "PATCH"]
    assert sent[0] == {"fieldManager": "llmkube-cli", "force": "false", "fieldValidation": "Strict"}


def test_a_server_dry_run_keeps_nothing(invoke: Any, cluster: Any) -> None:
    result = invoke("apply", "-f", SAMPLE, "--dry-run=server")
    assert result.stdout.splitlines()[0] == "model.inference.llmkube.dev/smollm2 created (server dry run)"
    assert cluster.objects == {}


def test_apply_takes_any_kind_that_the_api_server_knows(invoke: Any, cluster: Any) -> None:
    result = invoke("apply", "-f", "-", stdin="{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {}}")
    assert result.stdout == "configmap/a created\n"
    assert "/api/v1/namespaces/team/configmaps/a" in cluster.objects


def test_a_kind_that_the_api_server_does_not_know_is_told_and_the_others_are_applied(invoke: Any, cluster: Any) -> None:
    document = '{"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "a"}}'
    result = invoke("apply", "-f", "-", "-f", SAMPLE, stdin=document)
    assert result.exit_code == errors.FAILED
    assert result.stderr == "error: stdin: document 1: Gadget a: the API server does not know v1 Gadget\n"
    assert MODEL in cluster.objects


def test_a_conflict_tells_how_to_take_the_fields_over(invoke: Any, cluster: Any) -> None:
    cluster.refused = (409, "Conflict", 'Apply failed with 1 conflict: conflict with "kubectl": .spec.source')
    result = invoke("apply", "-f", SAMPLE)
    assert result.exit_code == errors.FAILED
    assert "--force-conflicts" in result.stderr


def test_apply_that_waits_shows_a_line_for_each_phase_and_ends_when_it_is_ready(invoke: Any, cluster: Any) -> None:
    cluster.patched = lambda obj: obj.update(status=READY)
    result = invoke("apply", "-f", SAMPLE, "--wait", "--timeout", "20s")
    assert result.exit_code == 0
    assert [line.partition("s  ")[2] for line in result.stderr.splitlines()] == [
        "model/smollm2: ready",
        "inferenceservice/smollm2: ready at http://10.0.0.1:8080/v1",
    ]


def test_a_wait_that_takes_too_long_ends_with_the_last_condition(invoke: Any, cluster: Any) -> None:
    conditions = [{"type": "Scheduled", "status": "False", "message": "no node has a GPU"}]
    served(cluster, {"phase": "WaitingForGPU", "observedGeneration": 1, "conditions": conditions})
    result = invoke("wait", "smollm2", "--timeout", "0.3s")
    assert result.exit_code == errors.TIMED_OUT
    assert result.stderr.splitlines()[-1].startswith(
        "error: timed out after 0.3s: inferenceservice/smollm2 is not ready"
    )
    assert result.stderr.splitlines()[-1].endswith("Scheduled is False: no node has a GPU")


def test_a_model_that_fails_ends_the_wait_with_its_condition(
    invoke: Any, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmkube.cli.follow.STALE_FAILURE", 0.01)
    conditions = [{"type": "Cached", "status": "False", "message": "expected digest a, found b"}]
    failed = {"phase": "Failed", "observedGeneration": 1, "conditions": conditions}
    served(cluster, {"phase": "WaitingForModel", "observedGeneration": 1})
    cluster.objects[MODEL] = {**cluster.objects[SERVICE], "kind": "Model", "spec": {}, "status": failed}
    result = invoke("wait", "smollm2", "--timeout", "20s")
    assert result.exit_code == errors.FAILED
    assert result.stderr.splitlines()[-1] == "error: model/smollm2 failed: expected digest a, found b"


@pytest.mark.parametrize(
    "arguments",
    [("wait", "nobody"), ("status", "nobody"), ("logs", "nobody"), ("delete", "nobody"), ("chat", "nobody", "x")],
)
def test_what_is_not_there_has_its_own_exit_code(invoke: Any, cluster: Any, arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == errors.NOT_FOUND
    assert "not found" in result.stderr


def test_a_listing_as_json_is_a_list_with_items(invoke: Any, cluster: Any) -> None:
    served(cluster)
    content = json.loads(invoke("list", "services", "-o", "json").stdout)
    assert content["items"][0]["status"]["endpoint"] == "http://10.0.0.1:8080/v1"
    assert content["items"][0]["kind"] == "InferenceService"


def test_a_listing_as_table_has_the_columns_of_kubectl(invoke: Any, cluster: Any) -> None:
    served(cluster, replicas=2)
    titles, row = invoke("list", "services").stdout.splitlines()
    assert titles.split() == ["NAME", "PHASE", "MODEL", "REPLICAS", "ENDPOINT", "AGE"]
    assert row.split()[:5] == ["smollm2", "Ready", "smollm2", "1/2", "http://10.0.0.1:8080/v1"]


def test_status_ends_with_one_next_step(invoke: Any, cluster: Any) -> None:
    served(cluster)
    lines = invoke("status", "smollm2").stdout.splitlines()
    assert lines[1].split(maxsplit=1) == ["Status:", "ready at http://10.0.0.1:8080/v1"]
    assert lines[-1] == "Next: nothing; talk to it with `llmkube chat smollm2`"


def test_scale_goes_through_the_scale_subresource(invoke: Any, cluster: Any) -> None:
    served(cluster)
    cluster.objects[f"{SERVICE}/scale"] = {"spec": {"replicas": 1}}
    assert invoke("scale", "smollm2", "--replicas", "3").stdout == "inferenceservice/smollm2 scaled from 1 to 3\n"
    assert cluster.objects[f"{SERVICE}/scale"]["spec"] == {"replicas": 3}


def test_delete_removes_and_says_so(invoke: Any, cluster: Any) -> None:
    served(cluster)
    assert invoke("delete", "smollm2").stdout == "inferenceservice/smollm2 deleted\n"
    assert cluster.objects == {}


def test_logs_come_from_the_pod_of_the_service(invoke: Any, cluster: Any) -> None:
    served(cluster)
    pods = "/api/v1/namespaces/team/pods"
    cluster.objects[f"{pods}/p"] = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "llama-server"}]}}
    cluster.streams[f"{pods}/p/log"] = b"one\ntwo\n"
    assert invoke("logs", "smollm2").stdout == "one\ntwo\n"
    assert invoke("logs", "smollm2", "--all-pods").stdout == "[p llama-server] one\n[p llama-server] two\n"


def answering(cluster: Any, *events: bytes) -> None:
    """Let the service of `smollm2` answer a chat with these events."""
    services = "/api/v1/namespaces/team/services"
    cluster.objects[f"{services}/s"] = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 8080}]}}
    cluster.streams[f"{services}/s:8080/proxy/v1/chat/completions"] = b"".join(event + b"\n\n" for event in events)


def test_chat_prints_the_answer_as_it_streams_through_the_proxy(invoke: Any, cluster: Any) -> None:
    served(cluster)
    pieces = (b'data: {"choices":[{"delta":{"content":"%s"}}]}' % text for text in (b"A lamp", b" is lit."))
    answering(cluster, *pieces, b"data: [DONE]")
    assert invoke("chat", "smollm2", "Hello").stdout == "A lamp is lit.\n"


def test_an_answer_cannot_move_the_cursor(invoke: Any, cluster: Any) -> None:
    served(cluster)
    answering(cluster, b'data: {"choices":[{"delta":{"content":"a\\u001b[2Jb"}}]}')
    assert invoke("chat", "smollm2", "Hello").stdout == "a[2Jb\n"


def test_an_engine_that_breaks_off_is_a_failure(invoke: Any, cluster: Any) -> None:
    served(cluster)
    answering(cluster, b'data: {"error":{"message":"context is full"}}')
    result = invoke("chat", "smollm2", "Hello")
    assert result.exit_code == errors.FAILED
    assert result.stderr == "error: smollm2: the engine stopped the answer: context is full\n"


def test_a_service_that_is_not_ready_is_not_asked(invoke: Any, cluster: Any) -> None:
    served(cluster, {"phase": "WaitingForModel", "observedGeneration": 1})
    result = invoke("chat", "smollm2", "Hello")
    assert result.exit_code == errors.FAILED
    assert "waiting for the model; wait for it with `llmkube wait smollm2`" in result.stderr
