"""What the API server refuses to make for an object is told in its status, and raised for its queue."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.controllers.conftest import HeldClock

from llmkube.controllers.adapter_models import AdapterModels
from llmkube.controllers.caches import caches
from llmkube.controllers.inference import InferenceReconciler
from llmkube.controllers.inference_accessories import InferenceAccessories
from llmkube.controllers.inference_inputs import InferenceInputs
from llmkube.controllers.offloads import OffloadReader
from llmkube.controllers.referenced_objects import ReferencedObjects
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.apply import Lag
from llmkube.kube.errors import ApiError, Forbidden, Invalid
from llmkube.kube.kinds import Key
from llmkube.kube.objects import CustomResource

CHAT = Key("team", "chat")
QUOTA = Forbidden(403, "Forbidden", 'services "chat" is forbidden: exceeded quota: small')
POLICY = "ValidatingAdmissionPolicy 'gpus' with binding 'all' denied request: no GPUs in team"
DENIED = Invalid(422, "Invalid", f'services "chat" is forbidden: {POLICY}')
WEBHOOK = ApiError(400, "", 'admission webhook "policies.example" denied the request: no GPUs in team')
BROKEN = Invalid(422, "Invalid", 'Service "chat" is invalid: spec.ports[0].port: Invalid value: 0')


class Refusing:
    """An applier whose every apply is refused, and that keeps the statuses."""

    def __init__(self, error: ApiError) -> None:
        self.error = error
        self.statuses: list[dict[str, Any]] = []

    def lag(self, *_: object) -> Lag:
        return Lag.NONE

    async def apply(self, *_: object) -> bool:
        raise self.error

    async def apply_status(self, _kind: object, _key: object, status: dict[str, Any], _live: object) -> bool:
        self.statuses.append(status)
        return True


class Silent:
    def event(self, *_: object, **__: object) -> None:
        """Nobody listens."""


@pytest.mark.parametrize(
    ("error", "who", "advice"),
    [
        (QUOTA, "the API server", "it is tried again"),
        (BROKEN, "the API server", "correct the spec"),
        (DENIED, "a policy of the cluster", "it is tried again"),
        (WEBHOOK, "a policy of the cluster", "it is tried again"),
    ],
    ids=["quota", "invalid", "policy", "webhook"],
)
async def test_a_service_that_is_refused_says_so_in_the_servers_words(error: ApiError, who: str, advice: str) -> None:
    known = caches(None)  # type: ignore[arg-type]
    manifest = {
        "metadata": {"name": "chat", "namespace": "team", "uid": "u"},
        "spec": {"modelRef": "tiny", "replicas": 3},
    }
    known.inference_services.store.apply(msgspec.json.decode(msgspec.json.encode(manifest), type=CustomResource))
    applier = Refusing(error)
    acting: Any = applier
    inputs = InferenceInputs(known, ReferencedObjects(acting, clock=HeldClock(), notify=print))
    beside, adapters = InferenceAccessories(known, acting, acting), AdapterModels(known, acting)
    silent: Any = Silent()
    offloads, settings = OffloadReader(acting, notify=print), OperatorSettings()
    reconciler = InferenceReconciler(known, inputs, beside, adapters, acting, silent, settings, HeldClock(), offloads)
    with pytest.raises(type(error)):
        await reconciler.reconcile(CHAT)
    (status,) = applier.statuses
    degraded = next(each for each in status["conditions"] if each["type"] == "Degraded")
    assert (status["phase"], status["desiredReplicas"], degraded["reason"]) == ("Failed", 3, "Refused")
    assert degraded["message"] == f"{who} refused: {error.message}; {advice}"
