"""What was written a moment ago is what a status tells of, and not what was there before."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.unit.controllers.conftest import HeldClock

from llmkube.controllers.adapter_models import AdapterModels
from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.inference import InferenceReconciler
from llmkube.controllers.inference_accessories import InferenceAccessories
from llmkube.controllers.inference_inputs import InferenceInputs
from llmkube.controllers.offloads import OffloadReader
from llmkube.controllers.referenced_objects import ReferencedObjects
from llmkube.desired.labels import SERVICE as SERVICE_LABEL
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.apply import Lag
from llmkube.kube.kinds import DEPLOYMENT, Key
from llmkube.kube.objects import CustomResource, Deployment, EndpointSlice

CHAT = Key("team", "chat")
READY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
MODEL_STATUS = {"phase": "Ready", "sha256": "ab" * 32, "path": "v1/models/team/tiny/abababababab/m.gguf"}


class World:
    """Applies: a Deployment has a new generation then, which its controller has not seen."""

    def __init__(self, *, changes: bool) -> None:
        self.changes = changes
        self.status: dict[str, Any] = {}

    def lag(self, *_: object) -> Lag:
        return Lag.NONE

    def again(self, *_: object) -> None:
        return None

    async def apply(self, kind: object, _manifest: object, live: Any, **_: object) -> Any:
        if not self.changes or kind is not DEPLOYMENT:
            return None
        return msgspec.structs.replace(live, metadata=msgspec.structs.replace(live.metadata, generation=2))

    async def apply_status(self, _kind: object, _key: object, status: dict[str, Any], _live: object) -> bool:
        self.status = status
        return True

    def event(self, *_: object, **__: object) -> None:
        """Nobody listens."""


def known() -> Caches:
    """A ready Model, a service, and its Deployment with one pod that answers."""
    found = caches(None)  # type: ignore[arg-type]
    found.models.store.apply(made(CustomResource, "tiny", spec={"source": "https://h/m.gguf"}, status=MODEL_STATUS))
    found.inference_services.store.apply(made(CustomResource, "chat", spec={"modelRef": "tiny"}))
    owner = {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": "InferenceService", "name": "chat"}
    owned = {"ownerReferences": [{**owner, "uid": "u-chat", "controller": True}], "generation": 1}
    found.deployments.store.apply(made(Deployment, "chat", owned, spec={"replicas": 1}, status=READY))
    answering = [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "targetRef": {"name": "p", "uid": "p"}}]
    slices = made(EndpointSlice, "chat-1", {"labels": {SERVICE_LABEL: "chat"}}, endpoints=answering)
    found.endpoints.store.apply(slices)
    return found


def made(kind: type[Any], name: str, metadata: dict[str, Any] | None = None, **fields: Any) -> Any:
    obj = {"metadata": {"name": name, "namespace": "team", "uid": f"u-{name}", **(metadata or {})}, **fields}
    return msgspec.json.decode(msgspec.json.encode(obj), type=kind)


async def reconciled(world: World) -> str:
    found, acted = known(), world
    parts: Any = acted
    objects = ReferencedObjects(parts, clock=HeldClock(), notify=print)
    inputs, beside = InferenceInputs(found, objects), InferenceAccessories(found, parts, parts)
    adapters, offloads = AdapterModels(found, parts), OffloadReader(parts, notify=print)
    settings = OperatorSettings()
    reconciler = InferenceReconciler(found, inputs, beside, adapters, parts, parts, settings, HeldClock(), offloads)
    await reconciler.reconcile(CHAT)
    phase: str = world.status["phase"]
    return phase


async def test_a_service_whose_deployment_was_just_changed_is_not_ready_by_the_pods_of_before() -> None:
    assert await reconciled(World(changes=False)) == "Ready"
    assert await reconciled(World(changes=True)) != "Ready"
