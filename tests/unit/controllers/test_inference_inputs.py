"""What a service is made of is gathered from stores and from what was read in the background, and waited for."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.unit.controllers.conftest import HeldClock

from llmkube.controllers.adapter_models import AdapterModels
from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.inference import InferenceReconciler
from llmkube.controllers.inference_accessories import InferenceAccessories
from llmkube.controllers.inference_inputs import InferenceInputs
from llmkube.controllers.offloads import OffloadReader
from llmkube.controllers.referenced_objects import ReferencedObjects
from llmkube.desired.referenced_files import KEYS_VERSION
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.apply import Lag
from llmkube.kube.errors import NotFound
from llmkube.kube.kinds import Key
from llmkube.kube.objects import CustomResource, Data, Deployment, ObjectMeta

CHAT, SHA256 = Key("team", "chat"), "ab" * 32


class World:
    """An API server with one Secret, and what is written to it."""

    def __init__(self) -> None:
        self.keys: str | None = None
        self.applied: dict[str, dict[str, Any]] = {}
        self.scaled: list[int] = []
        self.statuses: list[dict[str, Any]] = []

    async def get(self, _kind: object, key: Key) -> Data:
        if self.keys is None:
            raise NotFound(404, "NotFound", f"{key.name} not found")
        data = {"api-keys": base64.b64encode(self.keys.encode()).decode()}
        return Data(metadata=ObjectMeta(name=key.name, uid="s"), data=data)

    def lag(self, *_: object) -> Lag:
        return Lag.NONE

    def again(self, *_: object) -> None:
        return None

    def forget(self, _key: Key) -> None:
        """Nothing is remembered."""

    async def apply(self, kind: Any, manifest: dict[str, Any], _live: object, **_: object) -> object:
        self.applied[kind.kind] = manifest
        return msgspec.json.decode(msgspec.json.encode(manifest), type=kind.type)

    async def scale(self, _kind: object, _owner: object, _live: object, replicas: int, **_: object) -> bool:
        self.scaled.append(replicas)
        return True

    async def apply_status(self, _kind: object, _key: object, status: dict[str, Any], _live: object) -> bool:
        self.statuses.append(status)
        return True

    def event(self, *_: object, **__: object) -> None:
        """Nobody listens."""

    def reasons(self) -> dict[str, str]:
        return {each["type"]: each["reason"] for each in self.statuses[-1]["conditions"]}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def known() -> Caches:
    found = caches(None)  # type: ignore[arg-type]
    found.models.store.apply(resource("tiny", {"source": "https://h/m.gguf"}, MODEL_STATUS))
    spec = {"modelRef": "tiny", "auth": {"secretRef": {"name": "keys"}}}
    found.inference_services.store.apply(resource("chat", spec, {}))
    return found


MODEL_STATUS = {"phase": "Ready", "sha256": SHA256, "path": "v1/models/team/tiny/abababababab/m.gguf"}


def resource(name: str, spec: dict[str, Any], status: dict[str, Any]) -> CustomResource:
    metadata = {"name": name, "namespace": "team", "uid": f"u-{name}"}
    obj = {"metadata": metadata, "spec": spec, "status": status}
    return msgspec.json.decode(msgspec.json.encode(obj), type=CustomResource)


@pytest.fixture
async def reconciler(world: World, known: Caches, clock: HeldClock, background: Any) -> Any:
    acted: Any = world
    objects = ReferencedObjects(acted, clock=clock, notify=lambda _: None, chance=lambda: 0.5)
    inputs = InferenceInputs(known, objects)
    async with background(objects.run):
        beside, adapters = InferenceAccessories(known, acted, acted), AdapterModels(known, acted)
        offloads = OffloadReader(acted, notify=print)
        yield InferenceReconciler(known, inputs, beside, adapters, acted, acted, OperatorSettings(), clock, offloads)


async def test_nothing_is_said_before_somebody_has_looked(
    world: World, reconciler: InferenceReconciler, settled: Callable[[], Any]
) -> None:
    world.keys = "one"
    await reconciler.reconcile(CHAT)
    assert ("Deployment" in world.applied, world.statuses) == (False, [])
    await settled()
    await reconciler.reconcile(CHAT)
    assert ("Deployment" in world.applied, len(world.statuses)) == (True, 1)


async def test_pods_wait_for_a_secret_that_is_missing_and_the_condition_names_it(
    world: World, reconciler: InferenceReconciler, settled: Callable[[], Any], clock: HeldClock
) -> None:
    await reconciler.reconcile(CHAT)
    await settled()
    await reconciler.reconcile(CHAT)
    assert "Deployment" not in world.applied
    assert (world.statuses[-1]["phase"], world.reasons()["Degraded"]) == ("Pending", "SecretNotFound")
    world.keys = "one"
    clock.fire()
    await settled()
    await reconciler.reconcile(CHAT)
    assert "Deployment" in world.applied


async def test_a_deployment_whose_secret_goes_stays_as_it_is_but_for_its_replicas(
    world: World, known: Caches, reconciler: InferenceReconciler, settled: Callable[[], Any]
) -> None:
    owner = {"apiVersion": "x/v1", "kind": "InferenceService", "name": "chat", "uid": "u-chat", "controller": True}
    metadata = {"name": "chat", "namespace": "team", "ownerReferences": [owner]}
    live = {"metadata": metadata, "spec": {}, "status": {"readyReplicas": 1}}
    known.deployments.store.apply(msgspec.json.decode(msgspec.json.encode(live), type=Deployment))
    await reconciler.reconcile(CHAT)
    await settled()
    await reconciler.reconcile(CHAT)
    assert ("Deployment" in world.applied, world.scaled) == (False, [1])


async def test_other_keys_are_another_template(
    world: World, reconciler: InferenceReconciler, settled: Callable[[], Any], clock: HeldClock
) -> None:
    versions = []
    for keys in ("one", "two"):
        world.keys = keys
        await reconciler.reconcile(CHAT)
        clock.fire()
        await settled()
        await reconciler.reconcile(CHAT)
        versions.append(world.applied["Deployment"]["spec"]["template"]["metadata"]["annotations"][KEYS_VERSION])
    assert versions[0] != versions[1]


async def test_a_draft_that_does_not_fit_is_told_by_its_header_while_it_is_fetched(
    world: World, known: Caches, reconciler: InferenceReconciler, settled: Callable[[], Any]
) -> None:
    world.keys = "one"
    told = {"vocabularySize": 49152, "tokenizer": {"model": "gpt2"}}
    status = MODEL_STATUS | {"source": "https://h/m.gguf", "gguf": told}
    known.models.store.apply(resource("tiny", {"source": "https://h/m.gguf"}, status))
    coming = {"phase": "Downloading", "source": "https://h/s.gguf", "gguf": told | {"vocabularySize": 32000}}
    known.models.store.apply(resource("small", {"source": "https://h/s.gguf"}, coming))
    spec = {"modelRef": "tiny", "speculative": {"draftModelRef": "small"}}
    known.inference_services.store.apply(resource("chat", spec, {}))
    await reconciler.reconcile(CHAT)
    reasons = world.reasons()
    assert (reasons["Degraded"], reasons["ModelReady"]) == ("DraftVocabularyDiffers", "ModelNotReady")
    known.models.store.apply(resource("small", {"source": "https://h/other.gguf"}, coming))
    await reconciler.reconcile(CHAT)
    assert world.reasons()["Degraded"] == "AsExpected", "what was said of another source is not held against it"


async def test_a_service_that_is_gone_refers_to_nothing(
    world: World, known: Caches, reconciler: InferenceReconciler, settled: Callable[[], Any], clock: HeldClock
) -> None:
    await reconciler.reconcile(CHAT)
    await settled()
    known.inference_services.store.delete(CHAT)
    await reconciler.reconcile(CHAT)
    assert [each for each in clock.timers if not each.cancelled] == []
