"""A new spec whose engine cannot start: the old pods serve, the status says why, and going back is a roll-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.component.local.local_mode import Object, answer, condition, model, service, until

if TYPE_CHECKING:
    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
BROKEN = {"extraArgs": ["--rope-scaling", "nonsense"]}


def stuck(found: Object) -> bool:
    told = condition(found["status"], "Progressing")
    return told["observedGeneration"] == found["metadata"]["generation"] and told["status"] == "False"


def test_a_spec_that_never_gets_ready_leaves_the_old_pods_serving_and_says_why_and_what_to_do(
    local: LocalMode, models: ModelServer
) -> None:
    local.apply(model("kept", models.url("smollm2.gguf")), service("kept", "kept"))
    endpoint = local.until_ready("kept")["status"]["endpoint"]
    (before,) = local.pods("kept")
    local.apply(service("kept", "kept", **BROKEN))
    status = until(lambda: local.service("kept"), stuck, seconds=150)["status"]
    assert (status["phase"], status["readyReplicas"]) == ("Failed", 1)
    assert condition(status, "Available")["status"] == "True"
    assert condition(status, "Progressing")["reason"] == "InvalidArgument"
    degraded = condition(status, "Degraded")
    assert degraded["reason"] == "InvalidArgument"
    assert "--rope-scaling" in degraded["message"], "the engine's own words"
    assert "correct spec.extraArgs" in degraded["message"]
    assert "the old pods serve until the spec is corrected" in degraded["message"]
    assert answer(endpoint)
    local.apply(service("kept", "kept"))
    healed = local.until_ready("kept")["status"]
    assert condition(healed, "Degraded")["status"] == "False"
    (after,) = until(lambda: local.pods("kept"), lambda found: len(found) == 1)
    assert after["metadata"]["uid"] == before["metadata"]["uid"], "going back replaced a pod that served all along"
