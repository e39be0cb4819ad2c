"""What a person is told of an object, from its status alone."""

from __future__ import annotations

from typing import Any

import pytest

from llmkube.cli.view import changed, said


def condition(name: str, status: str, message: str) -> dict[str, str]:
    return {"type": name, "status": status, "reason": "Because", "message": message}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, "waiting for the operator"),
        ({"phase": "Resolving"}, "resolving https://example.com/a.gguf"),
        ({"phase": "Downloading"}, "downloading"),
        ({"phase": "Downloading", "sizeBytes": 98_400_000}, "downloading 98.4 MB"),
        (
            {
                "phase": "Downloading",
                "sizeBytes": 100_000_000,
                "progress": {"bytes": 40_000_000, "percent": 40, "bytesPerSecond": 12_000_000},
            },
            "downloading 40.0 MB of 100.0 MB, 12.0 MB/s, 5s left",
        ),
        ({"phase": "Verifying"}, "verifying"),
        ({"phase": "Ready", "sizeBytes": 98_400_000}, "ready, 98.4 MB verified"),
        (
            {"phase": "Failed", "conditions": [condition("Available", "False", "digest differs")]},
            "failed: digest differs",
        ),
        ({"phase": "Failed"}, "failed: no condition says why"),
    ],
)
def test_each_phase_of_a_model_has_its_words(seen: Any, status: dict[str, Any], words: str) -> None:
    assert said(seen("Model", status, source="https://example.com/a.gguf")) == words


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "WaitingForModel"}, "waiting for the model"),
        ({"phase": "Progressing"}, "loading the model"),
        ({"phase": "Ready", "endpoint": "http://x:8080/v1"}, "ready at http://x:8080/v1"),
        ({"phase": "Stopped"}, "stopped"),
        (
            {
                "phase": "Progressing",
                "conditions": [condition("Degraded", "True", "llama-server ended with exit code 1")],
            },
            "loading the model: llama-server ended with exit code 1",
        ),
    ],
)
def test_each_phase_of_a_service_has_its_words(seen: Any, status: dict[str, Any], words: str) -> None:
    assert said(seen("InferenceService", status, modelRef="m")) == words


def test_a_status_about_an_older_generation_says_nothing_yet(seen: Any) -> None:
    view = seen("Model", {"phase": "Ready", "observedGeneration": 1}, generation=2)
    assert view.state == "waiting"
    assert said(view) == "waiting for the operator"


def test_a_status_that_cannot_be_read_counts_as_none(seen: Any) -> None:
    assert seen("Model", {"phase": 7}).phase == ""


def test_a_download_that_advances_is_no_new_phase(seen: Any) -> None:
    old = seen("Model", {"phase": "Downloading", "progress": {"bytes": 1}})
    new = seen("Model", {"phase": "Downloading", "progress": {"bytes": 2}})
    assert not changed(old, new)
    assert changed(new, seen("Model", {"phase": "Verifying"}))


def test_a_control_character_in_a_condition_never_reaches_the_terminal(seen: Any) -> None:
    view = seen("Model", {"phase": "Failed", "conditions": [condition("Available", "False", "a\x1b[2Jb\nc")]})
    assert said(view) == "failed: a [2Jb c"


def test_the_last_condition_names_the_first_thing_that_holds_it_up(seen: Any) -> None:
    conditions = [condition("Available", "False", "no pod"), condition("Scheduled", "False", "no node has a GPU")]
    view = seen("InferenceService", {"phase": "WaitingForGPU", "conditions": conditions})
    assert view.last_condition == "Scheduled is False: no node has a GPU"


def test_an_object_without_a_status_asks_for_the_operator(seen: Any) -> None:
    assert "is the operator running?" in seen("Model").last_condition
