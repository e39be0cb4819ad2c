"""When a wait is over, decided from what was seen."""

from __future__ import annotations

from typing import Any

import pytest

from llmkube.cli.follow import Followed, Outlook
from llmkube.cli.progress import Display
from llmkube.cli.view import View
from llmkube.kube.kinds import Key

KEY = Key("default", "smollm2")
SERVICE, MODEL = Followed("InferenceService", KEY), Followed("Model", KEY)
FAILED = {"phase": "Failed", "conditions": [{"type": "Available", "status": "False", "message": "no such file"}]}


class Silent(Display):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[View] = []

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def show(self, old: View | None, new: View) -> None:
        self.told.append(new)


@pytest.fixture
def outlook() -> Outlook:
    return Outlook([SERVICE], Silent())


def test_it_is_ready_when_everything_that_is_wanted_is(seen: Any) -> None:
    outlook = Outlook([SERVICE, MODEL], Silent())
    outlook.see(seen("Model", {"phase": "Ready"}))
    assert not outlook.is_ready
    outlook.see(seen("InferenceService", {"phase": "Ready"}))
    assert outlook.is_ready


def test_a_stopped_service_has_nothing_left_to_wait_for(outlook: Outlook, seen: Any) -> None:
    outlook.see(seen("InferenceService", {"phase": "Stopped"}))
    assert outlook.is_ready


def test_the_failure_of_the_model_that_a_service_names_ends_the_wait(outlook: Outlook, seen: Any) -> None:
    outlook.see(seen("InferenceService", {"phase": "WaitingForModel"}, modelRef="smollm2"))
    outlook.see(seen("Model", {"phase": "Downloading"}))
    assert outlook.failed is None
    outlook.see(seen("Model", FAILED))
    assert outlook.failed is not None
    assert outlook.failed.trouble == "no such file"


def test_a_model_that_nobody_named_is_not_shown(seen: Any) -> None:
    display = Silent()
    outlook = Outlook([SERVICE], display)
    outlook.see(seen("InferenceService", {"phase": "Pending"}, modelRef="another"))
    outlook.see(seen("Model", FAILED))
    assert [view.kind for view in display.told] == ["InferenceService"]
    assert outlook.failed is None


def test_a_failure_from_before_the_first_look_counts_only_after_a_while(outlook: Outlook, seen: Any) -> None:
    outlook.see(seen("InferenceService", FAILED))
    assert outlook.failed is None
    outlook.stale_counts = True
    assert outlook.failed is not None


def test_a_failure_of_an_older_generation_is_none(outlook: Outlook, seen: Any) -> None:
    outlook.stale_counts = True
    outlook.see(seen("InferenceService", {**FAILED, "observedGeneration": 1}, generation=2))
    assert outlook.failed is None


def test_what_is_deleted_meanwhile_has_failed(outlook: Outlook, seen: Any) -> None:
    import msgspec

    view = seen("InferenceService", {"phase": "Ready"})
    outlook.see(seen("InferenceService", {"phase": "Pending"}))
    outlook.see(msgspec.structs.replace(view, deleted=True))
    assert outlook.failed is not None


def test_what_is_missing_at_the_end_is_told_with_its_last_condition(outlook: Outlook, seen: Any) -> None:
    conditions = [{"type": "Scheduled", "status": "False", "message": "no node has a GPU"}]
    outlook.see(seen("InferenceService", {"phase": "WaitingForGPU", "conditions": conditions}))
    assert outlook.missing == "inferenceservice/smollm2 is not ready: Scheduled is False: no node has a GPU"
