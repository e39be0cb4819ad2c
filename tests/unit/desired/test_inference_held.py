"""A service that refers to what is missing: said everywhere but of the Model, and what serves goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from llmkube.api.inference_status import InferenceServiceStatus
from llmkube.desired.inference_status import Sight, observe
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.replicas import Scale
from llmkube.kube.objects import Deployment

HELD = Trouble("SecretNotFound", "spec.auth.secretRef: expected Secret keys, found none")
WAITING = Trouble("ModelNotReady", "Model tiny is not ready yet: Downloading")
SERVING = msgspec.convert(
    {
        "metadata": {"name": "chat", "generation": 1},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1},
    },
    Deployment,
)


def seen(**fields: Any) -> dict[str, Any]:
    status = observe(Sight(1, InferenceServiceStatus(), **fields), now=datetime(2026, 1, 1, tzinfo=UTC))
    told = {each.type: (each.status, each.reason) for each in status.conditions}
    return {"phase": status.phase, "modelReady": status.model_ready, **told}


def test_before_there_are_pods_it_is_pending_and_the_model_is_not_blamed() -> None:
    told = seen(held=HELD)
    assert (told["phase"], told["modelReady"], told["ModelReady"][0]) == ("Pending", True, "True")
    assert told["Available"] == ("False", "SecretNotFound")
    assert told["Progressing"] == ("True", "SecretNotFound")
    assert told["Degraded"] == ("True", "SecretNotFound")


def test_what_serves_is_available_and_degraded_says_what_holds_the_change_up() -> None:
    told = seen(held=HELD, deployment=SERVING, answering=1)
    assert (told["phase"], told["Available"][0], told["Degraded"]) == (
        "Progressing",
        "True",
        ("True", "SecretNotFound"),
    )


def test_a_model_that_is_fetched_meanwhile_is_told_beside_it() -> None:
    told = seen(held=HELD, waiting=WAITING)
    assert (told["phase"], told["ModelReady"]) == ("WaitingForModel", ("False", "ModelNotReady"))
    assert told["Degraded"] == ("True", "SecretNotFound")


def test_a_service_that_is_stopped_is_not_degraded_by_it() -> None:
    told = seen(held=HELD, scale=Scale(0))
    assert (told["phase"], told["Degraded"][0]) == ("Stopped", "False")
