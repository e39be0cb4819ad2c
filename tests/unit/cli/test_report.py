"""The report of `llmkube status`, and the one step that it suggests."""

from __future__ import annotations

from typing import Any

import pytest

from llmkube.cli import pods
from llmkube.cli.report import Found, next_step, report


def pod(name: str = "p", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"nodeName": "n", "containers": [{"name": "llama-server"}]},
        "status": status,
    }


def state(**of: Any) -> dict[str, Any]:
    return {"name": "llama-server", "restartCount": 2, "state": of}


CRASHED = pod(
    phase="Running", containerStatuses=[state(waiting={"reason": "CrashLoopBackOff", "message": "back-off 10s"})]
)
MANIFEST = {"metadata": {"name": "smollm2", "namespace": "default"}, "kind": "InferenceService"}


@pytest.mark.parametrize(
    ("phase", "step"),
    [
        ("Ready", "llmkube chat smollm2"),
        ("Stopped", "llmkube scale smollm2 --replicas 1"),
        ("WaitingForModel", "there is no Model 'm'"),
        ("WaitingForGPU", "no node has the GPUs"),
        ("Creating", "llmkube wait smollm2"),
        ("Failed", "correct what the condition says"),
    ],
)
def test_each_phase_of_a_service_has_its_next_step(seen: Any, phase: str, step: str) -> None:
    found = Found(seen("InferenceService", {"phase": phase}, modelRef="m"), MANIFEST)
    assert step in next_step(found)


@pytest.mark.parametrize(
    ("phase", "step"),
    [("Ready", "modelRef is smollm2"), ("Failed", "llmkube logs model/smollm2"), ("Downloading", "wait model/smollm2")],
)
def test_each_phase_of_a_model_has_its_next_step(seen: Any, phase: str, step: str) -> None:
    assert step in next_step(Found(seen("Model", {"phase": phase}), MANIFEST))


def test_a_service_whose_model_failed_points_there(seen: Any) -> None:
    service = seen("InferenceService", {"phase": "WaitingForModel"}, modelRef="m")
    assert "llmkube status model/m" in next_step(Found(service, MANIFEST, seen("Model", {"phase": "Failed"})))


def test_an_engine_that_was_restarted_points_to_its_previous_log(seen: Any) -> None:
    found = Found(seen("InferenceService", {"phase": "Progressing"}), MANIFEST, pods=[CRASHED])
    assert "llmkube logs smollm2 --previous" in next_step(found)


def test_the_plan_is_told_with_why_it_fits(seen: Any) -> None:
    plan = {"contextSize": 2048, "gpuLayers": 31, "message": "All 31 layers on 1 GPU, which hold 1Gi"}
    told = report(Found(seen("InferenceService", {"phase": "Ready"}), {**MANIFEST, "status": {"plan": plan}}))
    assert "context of 2048 tokens; All 31 layers on 1 GPU, which hold 1Gi" in told


def test_the_report_has_all_its_sections(seen: Any) -> None:
    condition = {"type": "Available", "status": "False", "reason": "Crashing", "message": "no pod answers"}
    event = {
        "metadata": {},
        "eventTime": "2026-01-01T00:00:00Z",
        "type": "Warning",
        "reason": "BackOff",
        "regarding": {"kind": "Pod", "name": "p"},
        "note": "restarting",
    }
    manifest = {**MANIFEST, "status": {"conditions": [condition], "plan": {"contextSize": 2048, "gpuLayers": 0}}}
    view = seen("InferenceService", {"phase": "Progressing"}, modelRef="m")
    text = report(Found(view, manifest, None, [CRASHED], [event], ["cannot load\x1b[2J"], "pod/p"))
    for line in ("no pod answers", "CrashLoopBackOff", "back-off 10s", "pod/p", "restarting", "context of 2048 tokens"):
        assert line in text
    assert "\x1b" not in text


def test_a_model_tells_what_it_needs_its_projector_and_what_is_kept_of_before(seen: Any) -> None:
    status = {
        "memory": {"weights": 10**9, "kvCachePerToken": 23_000, "computeEstimate": 10**7},
        "mmproj": {"source": "https://h/mmproj.gguf", "path": "v1/p"},
        "retained": [{"sha256": "ab" * 32, "path": "v1/m", "sizeBytes": 10**9, "claim": "tiny-cache"}],
    }
    text = report(Found(seen("Model", {"phase": "Downloading"}), {**MANIFEST, "status": status}))
    for line in (
        "1.0 GB of weights, 23.0 kB a token, 10.0 MB to compute",
        "https://h/mmproj.gguf (verified)",
        "abababababab, 1.0 GB in claim tiny-cache, kept until no pod uses it",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Running", "containerStatuses": [state(running={})]}, "Running"),
        ({"phase": "Pending", "containerStatuses": [state(waiting={"reason": "ErrImagePull"})]}, "ErrImagePull"),
        ({"phase": "Failed", "containerStatuses": [state(terminated={"exitCode": 1, "reason": "Error"})]}, "Error"),
        (
            {"phase": "Running", "initContainerStatuses": [state(terminated={"exitCode": 0, "reason": "Completed"})]},
            "Running",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        ({}, "Unknown"),
    ],
)
def test_a_pod_is_described_as_kubectl_does(status: dict[str, Any], words: str) -> None:
    assert pods.in_words(pod(**status)) == words


def test_a_container_that_ended_badly_complains_with_its_message() -> None:
    ended = state(terminated={"exitCode": 65, "reason": "Error", "message": "digest differs\n"})
    assert pods.complaints(pod(containerStatuses=[ended])) == [
        "llama-server ended with exit code 65 (Error) digest differs"
    ]
